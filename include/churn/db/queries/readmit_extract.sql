-- Only where another extract of the same day was admitted after it.
UPDATE churn.extracts AS extract SET decided_at = clock_timestamp()
WHERE extract.extract_id = %(extract_id)s AND extract.state = 'admitted'
  AND extract.extract_id <> (
      SELECT snapshots.extract_id FROM churn.snapshots WHERE snapshots.snapshot_date = extract.snapshot_date
  )
