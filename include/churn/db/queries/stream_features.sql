SELECT {columns}
FROM {source}
