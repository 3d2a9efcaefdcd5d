"""Reprocessing in the database: the job, its payloads, the staged versions and their placing.

`job`, `payloads` and `staging` serve the reading; `listings`, `rejections`, `shadow`, `expected`,
`points` and `candles` serve the placing, in that order; `changes` counts differences and `runs`
holds the runs that users see.
"""
