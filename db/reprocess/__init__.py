"""Reprocessing in the database: the job, the payloads it reads, what it stages of them, and how that is put in place.

`job` and `payloads` and `staging` serve the reading; `listings`, `rejections`, `shadow`,
`expected`, `points` and `candles` the placing, in that order; `changes` counts what differs and
`runs` are the rows that watchers see.
"""
