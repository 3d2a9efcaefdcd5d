"""One odd response of a source ends no listing until the next sweeps agree with it."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

from db.write.runs import FinishedRun
from ingestor.http.fetch import Fetch
from ingestor.run.run import run
from ingestor.sources.coingecko.source import CoinGecko
from ingestor.sources.coinpaprika import CoinPaprika
from ingestor.sources.files.source import CsvFiles
from ingestor.sources.records import Source
from tests.ingestor.conftest import QUICK, Ingest, provider

ACTIVE = "SELECT count(*) FROM listings WHERE active"
COINS = "SELECT array_agg(ticker ORDER BY ticker) FROM normalized_records"


def ticker(number: int) -> dict[str, object]:
    return {
        "id": f"c{number}",
        "symbol": f"C{number}",
        "name": f"Coin {number}",
        "quotes": {"USD": {"price": number}},
    }


def market(number: int) -> dict[str, object]:
    return {
        "id": f"c{number}",
        "symbol": f"c{number}",
        "name": f"Coin {number}",
        "current_price": number,
    }


class Answers:
    """What a provider says to each page, with an ETag for each body."""

    def __init__(self) -> None:
        self.pages: list[object] = []
        self.not_modified = 0

    def say(self, *pages: object) -> None:
        self.pages = list(pages)

    async def answer(self, request: web.Request) -> web.Response:
        number = int(request.query.get("page", "1"))
        text = json.dumps(self.pages[number - 1] if number <= len(self.pages) else [])
        tag = f'"{hash(text)}"'
        if request.headers.get("If-None-Match") == tag:
            self.not_modified += 1
            return web.Response(status=304)
        return web.Response(text=text, content_type="application/json", headers={"ETag": tag})


@pytest.fixture
async def answers(aiohttp_server: AiohttpServer) -> tuple[Answers, str]:
    given, app = Answers(), web.Application()
    app.router.add_get("/tickers", given.answer)
    app.router.add_get("/coins/markets", given.answer)
    server = await aiohttp_server(app)
    return given, str(server.make_url("")).rstrip("/")


async def run_of(ingest: Ingest, source: Source, *, full: bool = False) -> FinishedRun:
    outcome = await run(ingest.pool, source, timeout_seconds=60, full=full)
    await source.close()
    assert outcome is not None
    return outcome


def paprika(url: str) -> CoinPaprika:
    return CoinPaprika(Fetch(provider("CoinPaprika", url), QUICK))


def gecko(url: str) -> CoinGecko:
    return CoinGecko(Fetch(provider("CoinGecko", url), QUICK), page_count=4)


@pytest.mark.parametrize(
    "odd",
    [[{}], [{"id": "c1"}] * 100, [{"id": f"c{number}", "symbol": ""} for number in range(100)]],
)
async def test_a_body_in_which_nothing_is_readable_is_malformed(
    ingest: Ingest, answers: tuple[Answers, str], odd: list[object]
) -> None:
    given, url = answers
    given.say([ticker(number) for number in range(1, 101)])
    assert (await run_of(ingest, paprika(url))).status == "success"
    before = await ingest.value(COINS)
    given.say(odd)
    outcome = await run_of(ingest, paprika(url))
    assert (outcome.status, outcome.processed) == ("failure", 0)
    assert outcome.message
    assert (
        f"none of the {len(odd)} records of coinpaprika, page 1 can be read, the first one: "
        in outcome.message
    )
    assert await ingest.value(ACTIVE) == 100
    assert await ingest.value(COINS) == before


async def test_a_list_of_one_coin_ends_none_and_the_whole_list_clears_the_doubt(
    ingest: Ingest, answers: tuple[Answers, str]
) -> None:
    given, url = answers
    whole = [ticker(number) for number in range(1, 101)]
    given.say(whole)
    await run_of(ingest, paprika(url))
    before = await ingest.value(COINS)
    for _ in range(3):  # a good sweep between two odd ones: these never agree
        given.say([ticker(1)])
        outcome = await run_of(ingest, paprika(url))
        assert (outcome.status, outcome.failed) == ("partial", 0)
        assert outcome.message
        assert outcome.message.startswith(
            "99 of 100 active listings are missing from coinpaprika: "
        )
        assert "the next 2 sweeps agree" in outcome.message
        assert "`kasparro trigger --source coinpaprika --full`" in outcome.message
        assert await ingest.value(ACTIVE) == 100
        assert await ingest.value(COINS) == before
        given.say(whole)
        assert (await run_of(ingest, paprika(url))).message is None
    assert await ingest.value("SELECT count(*) FROM listings WHERE missing_since IS NOT NULL") == 0


async def test_what_three_sweeps_in_a_row_miss_is_ended_though_the_body_did_not_change(
    ingest: Ingest, answers: tuple[Answers, str]
) -> None:
    given, url = answers
    given.say([ticker(number) for number in range(1, 101)])
    await run_of(ingest, paprika(url))
    given.say([ticker(number) for number in range(1, 61)])
    found = [
        ((await run_of(ingest, paprika(url))).status, await ingest.value(ACTIVE)) for _ in range(3)
    ]
    assert found == [("partial", 100), ("partial", 100), ("success", 60)]
    assert given.not_modified == 0, "while it is doubted, the source is asked for the whole"
    await run_of(ingest, paprika(url))
    assert given.not_modified == 1


async def test_a_full_refresh_is_believed_at_once(
    ingest: Ingest, answers: tuple[Answers, str]
) -> None:
    given, url = answers
    given.say([ticker(number) for number in range(1, 101)])
    await run_of(ingest, paprika(url))
    given.say([ticker(number) for number in range(1, 61)])
    assert (await run_of(ingest, paprika(url))).status == "partial"
    outcome = await run_of(ingest, paprika(url), full=True)
    assert (outcome.status, outcome.message) == ("success", None)
    assert await ingest.value(ACTIVE) == 60


@pytest.mark.parametrize(
    ("before", "after", "active"), [(100, 80, 80), (100, 79, 100), (300, 270, 270)]
)
async def test_a_tenth_or_twenty_may_go_at_once(
    ingest: Ingest, answers: tuple[Answers, str], before: int, after: int, active: int
) -> None:
    given, url = answers
    given.say([ticker(number) for number in range(1, before + 1)])
    await run_of(ingest, paprika(url))
    for step in (1, -1):  # one body that lacks some ends none; the next one is another body
        assert await ingest.value(ACTIVE) == before
        given.say([ticker(number) for number in range(1, after + 1)][::step])
        await run_of(ingest, paprika(url))
    assert await ingest.value(ACTIVE) == active


async def test_an_empty_page_where_the_last_sweep_had_records_ends_none_of_them(
    ingest: Ingest, answers: tuple[Answers, str]
) -> None:
    given, url = answers
    first, second = (
        [market(number) for number in range(250)],
        [market(number) for number in range(250, 260)],
    )
    given.say(first, second)
    assert (await run_of(ingest, gecko(url))).status == "success"
    given.say(first, [])
    found = [
        ((await run_of(ingest, gecko(url))).status, await ingest.value(ACTIVE)) for _ in range(3)
    ]
    assert found == [("partial", 260), ("partial", 260), ("success", 250)]


def csv(*numbers: int) -> str:
    return "symbol,name,price\n" + "".join(f"C{number},Coin {number},1\n" for number in numbers)


async def test_a_csv_file_of_a_header_alone_ends_nothing_and_says_so(ingest: Ingest) -> None:
    ingest.csv_path.write_text(csv(1, 2, 3))
    await ingest.run("csv")
    ingest.csv_path.write_text(csv())
    for _ in range(3):
        outcome = await ingest.run("csv")
        assert (outcome.status, await ingest.value(ACTIVE)) == ("success", 3)
        notes = str(
            await ingest.value("SELECT notes::text FROM etl_runs WHERE id = $1", outcome.id)
        )
        assert "has 0 rows, it had 3: nothing that is missing ends" in notes


@pytest.mark.parametrize("rows", ["C1,,x\nC2,,y\n", ",,1\n,,2\n"])
async def test_a_csv_file_in_which_nothing_is_readable_is_malformed(
    ingest: Ingest, rows: str
) -> None:
    ingest.csv_path.write_text(csv(1, 2))
    await ingest.run("csv")
    ingest.csv_path.write_text(f"symbol,name,price\n{rows}")
    for _ in range(3):
        outcome = await ingest.run("csv")
        assert outcome.status == "failure"
        assert outcome.message
        assert "none of the 2 records of" in outcome.message
    assert await ingest.value(ACTIVE) == 2


async def test_a_sweep_that_takes_two_runs_remembers_that_a_page_came_empty(
    ingest: Ingest, tmp_path: Path
) -> None:
    folder = tmp_path / "csv"
    folder.mkdir()

    def write(files: dict[str, Sequence[int]]) -> None:
        for name, numbers in files.items():
            (folder / name).write_text(csv(*numbers))

    write({"a.csv": [1, 2], "b.csv": [3, 4]})
    source = CsvFiles(str(folder))
    assert (await run_of(ingest, source)).status == "success"
    write({"a.csv": []})
    (folder / "b.csv").write_text("no header at all")
    assert (await run_of(ingest, source)).status == "failure"
    write({"b.csv": [3, 4]})
    outcome = await run_of(ingest, source)
    assert (outcome.status, await ingest.value(ACTIVE)) == ("success", 4)
