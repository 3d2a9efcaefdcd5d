"""What the readers make of answers, refusals, trades and frames without a price."""

import pytest

from ingestor.streams.venue import FrameReader, portions
from ingestor.streams.venues import VENUES

NOW_NS = 1_790_000_000 * 10**9
BITSTAMP_TRADE = '{"id":1,"price_str":"0","amount_str":"1","microtimestamp":"1"}'
REFUSALS = [
    ("binance", '{"error":{"code":2,"msg":"Invalid request"},"id":1}', "Invalid request"),
    ("binance", '{"code":3,"msg":"Invalid JSON"}', "Invalid JSON"),
    (
        "coinbase",
        '{"type":"error","message":"Failed to subscribe","reason":"NO-PE is not valid"}',
        "NO-PE is not",
    ),
    (
        "kraken",
        '{"error":"Currency pair not supported NO/PE","method":"subscribe","success":false}',
        "NO/PE",
    ),
    (
        "kraken",
        '{"errorMessage":"Currency pair not supported","event":"subscriptionStatus"}',
        "not supported",
    ),
    ("okx", '{"event":"error","code":"60018","msg":"The instrument does not exist"}', "60018"),
    ("bybit", '{"success":false,"ret_msg":"Invalid symbol","op":"subscribe"}', "Invalid symbol"),
    (
        "bitstamp",
        '{"event":"bts:error","channel":"","data":{"code":4009,"message":"Bad channel"}}',
        "Bad channel",
    ),
]
WITHOUT_PRICE = [
    ("binance", '[{"e":"24hrMiniTicker","E":1,"s":"A","c":"0.00","v":"0","q":"0"}]'),
    ("binance", '{"e":"aggTrade","s":"A","p":"0","q":"1","T":1,"a":1}'),
    ("binance", '{"e":"depthUpdate","s":"A"}'),
    ("coinbase", '{"type":"ticker","product_id":"A-B","price":"0","time":""}'),
    ("coinbase", '{"type":"match","product_id":"A-B","price":"0","time":"2026-09-01T10:00:00Z"}'),
    ("coinbase", '{"type":"status","products":[]}'),
    ("kraken", '{"channel":"ticker","type":"snapshot","data":[{"symbol":"A/B","last":0.0}]}'),
    ("kraken", '[1,{"c":["0.0","1"],"v":["1","2"]},"ticker","A/B"]'),
    ("kraken", '[1,{"as":[]},"book-25","A/B"]'),
    (
        "okx",
        '{"arg":{"channel":"tickers","instId":"A-B"},"data":[{"instId":"A-B","last":"","ts":"1"}]}',
    ),
    ("okx", '{"arg":{"channel":"books","instId":"A-B"},"data":[{"asks":[]}]}'),
    ("okx", '{"something":1}'),
    ("bybit", '{"topic":"tickers.AB","ts":1,"type":"delta","data":{"symbol":"AB"}}'),
    ("bybit", '{"topic":"orderbook.1.AB","ts":1,"data":{}}'),
    (
        "bitstamp",
        f'{{"event":"trade","channel":"live_trades_ab","data":{BITSTAMP_TRADE}}}',
    ),
    ("bitstamp", '{"event":"data","channel":"diff_order_book_ab","data":{}}'),
]


def reader_of(venue: str) -> FrameReader:
    return VENUES[venue].reader()


@pytest.mark.parametrize(("venue", "text", "said"), REFUSALS)
def test_a_refused_subscription_is_answered_and_says_why(venue: str, text: str, said: str) -> None:
    reading = reader_of(venue).read(text.encode(), NOW_NS)
    assert reading.answers == 1
    assert said in reading.refusals[0]
    assert not reading.ticks


@pytest.mark.parametrize(("venue", "text"), WITHOUT_PRICE)
def test_what_holds_no_price_is_counted(venue: str, text: str) -> None:
    reading = reader_of(venue).read(text.encode(), NOW_NS)
    assert (reading.ticks, reading.ignored, reading.missed) == ([], 1, ())


def test_trades_of_bybit_are_read_where_they_come() -> None:
    row = '{"T":1790000000865,"s":"BTCUSDT","S":"Buy","v":"%s","p":"%s","BT":false}'
    rows = ",".join([row % ("0.001", "20000.50"), row % ("2", "0")])
    text = f'{{"topic":"publicTrade.BTCUSDT","ts":1790000000868,"data":[{rows}]}}'
    reading = reader_of("bybit").read(text.encode(), NOW_NS)
    (tick,) = reading.ticks
    assert (str(tick.price), str(tick.size)) == ("20000.50", "0.001")
    assert tick.observed_ns == 1790000000865 * 10**6
    assert reading.ignored == 1


def test_a_frame_of_a_venue_that_writes_its_keys_in_another_order_is_read_the_same() -> None:
    okx = '{"data":[{"instId":"A","last":"1.5","ts":"7"}],"arg":{"channel":"tickers"}}'
    bybit = '{"data":{"symbol":"AB","lastPrice":"1.5"},"ts":7,"topic":"tickers.AB"}'
    for venue, text in (("okx", okx), ("bybit", bybit)):
        (tick,) = reader_of(venue).read(text.encode(), NOW_NS).ticks
        assert (str(tick.price), tick.observed_ns) == ("1.5", 7_000_000)


@pytest.mark.parametrize("venue", VENUES)
def test_subscriptions_name_each_symbol_once_and_count_their_answers(venue: str) -> None:
    symbols = [f"S{number:04d}" for number in range(450)]
    messages = VENUES[venue].subscribe(symbols)
    text = " ".join(message.text for message in messages)
    if venue == "binance":
        assert [message.answers for message in messages] == [1]
    else:
        assert all(text.count(symbol) == 1 for symbol in symbols)
        assert max(len(message.text) for message in messages) < 21_000
    assert VENUES[venue].subscribe([]) == []


def test_portions_keep_the_order() -> None:
    assert portions(list("abcde"), 2) == [["a", "b"], ["c", "d"], ["e"]]
    assert portions([], 2) == []
