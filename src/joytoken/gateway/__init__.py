"""The data plane: the life of one request.

Read `exchange.py` first: authenticate → admit → route → freeze → invoke → relay → settle → record.
"""
