"""The statement that merges coins: identity, belief and merging, for all tickers of a page.

Its parts are the texts of one statement, in this order: `listings.py`, `links.py`, `evidence.py`,
`values.py`, `records.py`. Each names its WITH queries. `docs/IDENTITY.md` states the rule.
"""

from db.write.merge.evidence import EVIDENCE
from db.write.merge.links import LINKS
from db.write.merge.listings import LISTINGS
from db.write.merge.records import RECORDS
from db.write.merge.values import VALUES

MERGE = LISTINGS + LINKS + EVIDENCE + VALUES + RECORDS
"""$1: the tickers, with all that an asset of theirs has; $2: when the records are saved.

Returns one row: the written and deleted tickers, and the listings whose `contributes` or asset
changes.
"""
