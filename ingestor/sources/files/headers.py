"""The known headers of columns, by the role of the column."""

ROLES: dict[str, tuple[str, ...]] = {
    role: tuple(keys.split())
    for role, keys in {
        "id": "id coinid externalid",
        "symbol": """
            symbol ticker coinsymbol tokensymbol assetsymbol cryptosymbol currencysymbol
            tickersymbol basesymbol baseasset basecurrency base symbols
        """,
        "name": """
            name coin coinname fullname tokenname assetname cryptoname currencyname
            cryptocurrency cryptocurrencyname
        """,
        "rank": "rank marketcaprank cmcrank marketrank",
        "price": """
            priceusd usdprice currentpriceusd lastpriceusd latestpriceusd priceinusd
            closeusd price prices currentprice lastprice latestprice close closeprice
            priceclose closingprice last
        """,
        "market_cap": """
            marketcapusd usdmarketcap mktcapusd mcapusd marketcapinusd
            marketcapitalizationusd mktcap marketcap marketcaps mcap
            marketcapitalization marketcapitalisation
        """,
        "volume": """
            volume24husd 24hvolumeusd volumeusd24h volumeusd vol24husd totalvolumeusd
            usd24hvolume usdvolume24h usdvolume 24husdvolume 24hvolusd 24hrvolumeusd
            volumeusdt volumebusd volumeusdc volumefdusd quotevolume quoteassetvolume
            volumequote turnoverusd vol24h volume24h 24hvolume 24hvol volume24hr
            24hrvolume volume24hours totalvolume totalvolumes volume vol
        """,
        "change": """
            chg24h percentchange24h pricechangepercentage24h percentchange24husd
            percentagechange24h pctchange24h changepercent24h change24hpercent
            changepct24h change24hpct 24hpercentchange 24hchangepercent 24hpctchange
            24hchangepct pricechangepercent24h pricechangepercent change24h 24hchange
            24hchg change24hr 24hrchange usd24hchange 24h 24hr 24hours
        """,
        "circulating_supply": "circulatingsupply availablesupply supplycirculating",
        "total_supply": "totalsupply",
        "max_supply": "maxsupply maximumsupply",
        "time": """
            lastupdated updatedat lastupdate lastupdatedat lastupdatetime
            sourceupdatedat observedat fetchedat scrapedat snappedat snapshotat
            capturedat collectedat recordedat closetime unix unixtime unixtimestamp
            timestamp datetime date time ts asof snapshotdate snapshottime updated
            createdat at opentime timeutc dateutc datetimeutc
        """,
        "address": "address contractaddress contract tokenaddress",
        "chain": """
            chain blockchain platform network assetplatform chainname networkname chainid networkid
        """,
        "currency": "currency quotecurrency quoteasset quotesymbol quote vscurrency pricecurrency",
    }.items()
}
"""The keys of the headers of each role. The first one that a table has is used: USD comes first.

`created_at` is this service's name for the time of observation, in `/data` and in exports; the
export of history calls it `at`.
"""

PAIRS = ("pair", "market", "instrument", "instrumentid", "tradingpair", "marketpair")
"""Headers of trading pairs, such as BTC/USDT: the symbol if the table lacks a column for it."""
SYMBOL_OR_NAME = ("coin", "crypto", "asset", "token", "code", "currency")
"""Headers of tickers in some files and of names in others: the cells decide."""
