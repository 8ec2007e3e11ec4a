INSERT INTO monitoring.drift_columns (drift_report_id, column_name, method, statistic, threshold, drifted)
VALUES (%(drift_report_id)s, %(column_name)s, %(method)s, %(statistic)s, %(threshold)s, %(drifted)s)
