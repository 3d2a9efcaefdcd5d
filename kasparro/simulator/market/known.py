"""The best-known real coins, for a realistic demo: ids, names and prices of February 2026."""

from decimal import Decimal
from typing import Final

from msgspec import Struct

UNLIMITED: Final = 0


class KnownCoin(Struct, frozen=True):
    """A real coin of both providers; supplies are whole coins, a `maximum` of 0 is unlimited."""

    symbol: str
    gecko_id: str
    gecko_name: str
    paprika_id: str
    paprika_name: str
    price_usd: Decimal
    circulating: int
    maximum: int = UNLIMITED
    stable: bool = False


_M: Final = 1_000_000


def _coin(symbol: str, gecko: str, paprika: str, price: str, *supply: int) -> KnownCoin:
    """Read a line of `KNOWN`: id and name of both providers, circulating and maximum supply."""
    gecko_id, _, gecko_name = gecko.partition("|")
    paprika_id, _, paprika_name = paprika.partition("|")
    return KnownCoin(
        symbol=symbol,
        gecko_id=gecko_id,
        gecko_name=gecko_name,
        paprika_id=paprika_id,
        paprika_name=paprika_name or gecko_name,
        price_usd=Decimal(price),
        circulating=supply[0],
        maximum=supply[1] if len(supply) > 1 else UNLIMITED,
        stable=symbol in _STABLE,
    )


_STABLE: Final = frozenset({"USDT", "USDC", "USDS", "USDE", "DAI", "USD1", "PYUSD"})

KNOWN_COINS: Final = (
    _coin("BTC", "bitcoin|Bitcoin", "btc-bitcoin", "78236", 19_986_169, 21 * _M),
    _coin("ETH", "ethereum|Ethereum", "eth-ethereum", "2292.85", 120_692_315),
    _coin("USDT", "tether|Tether", "usdt-tether", "0.999071", 185_214 * _M),
    _coin(
        "BNB", "binancecoin|BNB", "bnb-binance-coin|Binance Coin", "771.48", 136_359_698, 200 * _M
    ),
    _coin("XRP", "ripple|XRP", "xrp-xrp", "1.6", 60_917 * _M, 100_000 * _M),
    _coin("USDC", "usd-coin|USDC", "usdc-usd-coin|USD Coin", "0.999705", 70_641 * _M),
    _coin("SOL", "solana|Solana", "sol-solana", "103.17", 566_480_152),
    _coin("TRX", "tron|TRON", "trx-tron", "0.283126", 94_722 * _M),
    _coin(
        "STETH", "staked-ether|Lido Staked Ether", "steth-lido-staked-ether", "2293.56", 9_652_044
    ),
    _coin("DOGE", "dogecoin|Dogecoin", "doge-dogecoin", "0.107003", 168_643 * _M),
    _coin("ADA", "cardano|Cardano", "ada-cardano", "0.295888", 36_062 * _M, 45_000 * _M),
    _coin("BCH", "bitcoin-cash|Bitcoin Cash", "bch-bitcoin-cash", "527.67", 19_992_841, 21 * _M),
    _coin("WBTC", "wrapped-bitcoin|Wrapped Bitcoin", "wbtc-wrapped-bitcoin", "77982", 124_711),
    _coin("USDS", "usds|USDS", "usds-usds", "0.999229", 9_986 * _M),
    _coin("HYPE", "hyperliquid|Hyperliquid", "hype-hyperliquid", "36.9", 238_385_316, 961_650_000),
    _coin("LEO", "leo-token|LEO Token", "leo-leo-token", "8.62", 921_321_117),
    _coin("WETH", "weth|WETH", "weth-weth", "2294.84", 2_611_472),
    _coin("XMR", "monero|Monero", "xmr-monero", "370.36", 18_446_744),
    _coin("LINK", "chainlink|Chainlink", "link-chainlink", "9.59", 708_099_970, 1_000 * _M),
    _coin("USDE", "ethena-usde|Ethena USDe", "usde-ethena-usde", "0.998604", 6_514 * _M),
    _coin("XLM", "stellar|Stellar", "xlm-stellar", "0.176442", 32_561 * _M, 50_001_806_812),
    _coin("ZEC", "zcash|Zcash", "zec-zcash", "285.29", 16_528_347, 21 * _M),
    _coin("LTC", "litecoin|Litecoin", "ltc-litecoin", "59.67", 76_874_091, 84 * _M),
    _coin(
        "USD1",
        "usd1-wlfi|USD1",
        "usd1-world-liberty-financial-usd|World Liberty Financial USD",
        "1.0001",
        4_952 * _M,
    ),
    _coin("SUI", "sui|Sui", "sui-sui", "1.13", 3_795 * _M, 10_000 * _M),
    _coin("AVAX", "avalanche-2|Avalanche", "avax-avalanche", "10.04", 431_773_101, 720 * _M),
    _coin("DAI", "dai|Dai", "dai-dai", "1.0002", 4_401 * _M),
    _coin("SHIB", "shiba-inu|Shiba Inu", "shib-shiba-inu", "0.00000681", 589_244_123_651_127),
    _coin(
        "HBAR",
        "hedera-hashgraph|Hedera",
        "hbar-hedera-hashgraph|Hedera Hashgraph",
        "0.090915",
        42_963 * _M,
        50_000 * _M,
    ),
    _coin("PYUSD", "paypal-usd|PayPal USD", "pyusd-paypal-usd", "0.999923", 3_721 * _M),
    _coin("TON", "the-open-network|Toncoin", "ton-toncoin", "1.36", 2_452 * _M),
    _coin(
        "CRO",
        "crypto-com-chain|Cronos",
        "cro-cryptocom-chain|Crypto.com Coin",
        "0.082537",
        40_211 * _M,
        100_000 * _M,
    ),
    _coin("DOT", "polkadot|Polkadot", "dot-polkadot", "1.52", 1_662 * _M, 2_100 * _M),
    _coin("UNI", "uniswap|Uniswap", "uni-uniswap", "3.87", 634_544_213, 1_000 * _M),
    _coin("MNT", "mantle|Mantle", "mnt-mantle", "0.723672", 3_252_944_056, 6_219_316_794),
    _coin("AAVE", "aave|Aave", "aave-new", "126.81", 15_190_418, 16 * _M),
    _coin("TAO", "bittensor|Bittensor", "tao-bittensor", "195.51", 9_597_491, 21 * _M),
    _coin("OKB", "okb|OKB", "okb-okb", "87.64", 21 * _M, 21 * _M),
    _coin("PEPE", "pepe|Pepe", "pepe-pepe", "0.00000417", 420_690 * _M * 1_000),
    _coin("NEAR", "near|NEAR Protocol", "near-near-protocol|Near Protocol", "1.19", 1_284_512_311),
    _coin(
        "ETC",
        "ethereum-classic|Ethereum Classic",
        "etc-ethereum-classic",
        "9.67",
        155_283_746,
        210_700_000,
    ),
    _coin(
        "ICP", "internet-computer|Internet Computer", "icp-internet-computer", "2.67", 547_120_664
    ),
    _coin(
        "ONDO",
        "ondo-finance|Ondo",
        "ondo-ondo-finance|Ondo Finance",
        "0.28074",
        3_159_107_529,
        10_000 * _M,
    ),
    _coin("QNT", "quant-network|Quant", "qnt-quant", "67.81", 14_544_176, 14_881_364),
    _coin("ATOM", "cosmos|Cosmos Hub", "atom-cosmos|Cosmos", "1.99", 492_107_912),
    _coin("APT", "aptos|Aptos", "apt-aptos", "1.26", 761_844_001),
    _coin("ALGO", "algorand|Algorand", "algo-algorand", "0.105034", 8_861 * _M, 10_000 * _M),
    _coin("VET", "vechain|VeChain", "vet-vechain", "0.00812", 85_985_041_177, 86_712_634_466),
    _coin("FIL", "filecoin|Filecoin", "fil-filecoin", "0.9521", 748_120_342, 1_958_769_868),
    _coin("ARB", "arbitrum|Arbitrum", "arb-arbitrum", "0.1163", 5_826_411_080, 10_000 * _M),
    _coin("XTZ", "tezos|Tezos", "xtz-tezos", "0.4731", 1_072_640_911),
    _coin(
        "THETA",
        "theta-token|Theta Network",
        "theta-theta-token|THETA",
        "0.2214",
        1_000 * _M,
        1_000 * _M,
    ),
    _coin("DASH", "dash|Dash", "dash-dash", "41.18", 12_591_204, 18_920_000),
    _coin("GRT", "the-graph|The Graph", "grt-the-graph", "0.0301", 10_672 * _M),
    _coin("NEO", "neo|NEO", "neo-neo", "2.83", 70_538_831, 100 * _M),
    _coin(
        "SAND", "the-sandbox|The Sandbox", "sand-the-sandbox", "0.0941", 2_651_114_270, 3_000 * _M
    ),
    _coin("MANA", "decentraland|Decentraland", "mana-decentraland", "0.1057", 1_919_334_114),
    _coin(
        "LUNA", "terra-luna-2|Terra", "luna-terra-v2|Terra", "0.0688", 709_112_045, 1_004_263_338
    ),
    _coin("GTC", "gitcoin|Gitcoin", "gtc-gitcoin", "0.1077", 97_112_844, 100 * _M),
)
"""The market's first assets, in this order."""
