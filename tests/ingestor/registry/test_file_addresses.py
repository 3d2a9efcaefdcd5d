"""The contracts of a file's rows are written with their page, and replaced with their row."""

import pytest

from db.notes import Note
from ingestor.sources.addresses import read_address
from tests.ingestor.conftest import Ingest

USDC = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
DAI = "0x6b175474e89094c44da98b954eedeac495271d0f"
TETHER = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"


async def addresses(ingest: Ingest) -> list[tuple[object, ...]]:
    return await ingest.rows(
        "SELECT external_id, chain, address FROM listing_addresses WHERE source = 'csv' "
        "ORDER BY external_id, chain"
    )


async def groups(ingest: Ingest) -> list[tuple[object, ...]]:
    return await ingest.rows(
        "SELECT external_id, address_group, chains FROM address_groups WHERE source = 'csv' "
        "ORDER BY external_id"
    )


async def test_a_row_says_which_contract_its_listing_is(ingest: Ingest) -> None:
    ingest.csv_path.write_text(
        "id,symbol,price,Platform,Token Address\n"
        f"a,USDC,1,Ethereum,{USDC.upper().replace('X', 'x')}\n"
        f"b,USDT,1,,{TETHER}\n"
        "c,BTC,64000,,native\n"
        "d,ETH,3000,,\n"
        f"e,DAI,1,,{DAI}\n"
        f"f,SDAI,1,1.0,{DAI}\n"
        f"g,CAKE,1,moonchain,{DAI}\n"
        f"h,XDAI,1,solana,{DAI}\n"
        f"i,PDAI,1,,polygon:{DAI}\n"
    )
    run = await ingest.run("csv")
    assert run.status == "success"
    assert await addresses(ingest) == [
        ("a", "ethereum", USDC),
        ("b", "tron", TETHER),
        ("f", "ethereum", DAI),
        ("i", "polygon", DAI),
    ]
    assert await groups(ingest) == [
        ("a", f"ethereum:{USDC}", ["ethereum"]),
        ("b", f"tron:{TETHER}", ["tron"]),
        ("f", f"ethereum:{DAI}", ["ethereum"]),
        ("i", f"polygon:{DAI}", ["polygon"]),
    ]
    notes = await ingest.value("SELECT notes FROM etl_runs")
    assert b"chain is not given" in bytes(notes)  # type: ignore[call-overload]
    assert run.note_count == 4, notes


async def test_a_changed_row_replaces_its_contracts_and_others_stay(ingest: Ingest) -> None:
    head = "id,symbol,price,chain,address\n"
    ingest.csv_path.write_text(f"{head}a,USDC,1,ethereum,{USDC}\nb,DAI,1,ethereum,{DAI}\n")
    await ingest.run("csv")
    ingest.csv_path.write_text(f"{head}a,USDC,1,bsc,{USDC}\nb,DAI,1,ethereum,{DAI}\nc,X,1,,\n")
    await ingest.run("csv")
    assert await addresses(ingest) == [("a", "bsc", USDC), ("b", "ethereum", DAI)]
    ingest.csv_path.write_text(f"{head}a,USDC,1,,\nb,DAI,1,ethereum,{DAI}\nc,X,1,,\n")
    await ingest.run("csv")
    assert await addresses(ingest) == [("b", "ethereum", DAI)]
    assert await groups(ingest) == [("b", f"ethereum:{DAI}", ["ethereum"])]


async def test_two_rows_of_one_contract_are_one_group(ingest: Ingest) -> None:
    ingest.csv_path.write_text(
        f"id,symbol,price,chain,address\na,MLN,1,ethereum,{DAI}\nb,ENZ,1,eip155:1,{DAI}\n"
    )
    await ingest.run("csv")
    assert {row[1] for row in await groups(ingest)} == {f"ethereum:{DAI}"}


async def test_a_table_without_contracts_leaves_those_that_there_are(ingest: Ingest) -> None:
    ingest.csv_path.write_text(f"id,symbol,price,chain,address\na,USDC,1,ethereum,{USDC}\n")
    await ingest.run("csv")
    ingest.csv_path.write_text("id,symbol,price,name\na,USDC,1.01,USD Coin\n")
    await ingest.run("csv")
    assert await addresses(ingest) == [("a", "ethereum", USDC)]


@pytest.mark.parametrize(
    ("text", "chain", "about"),
    [
        (USDC, "", "$.a"),
        (USDC[:-1], "ethereum", "$.a"),
        (USDC, "moonchain", "$.c"),
        ("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", "", "$.a"),
        (TETHER.lower(), "", "$.a"),
    ],
)
def test_a_contract_is_never_guessed(text: str, chain: str, about: str) -> None:
    found = read_address(text, chain, path="$.a", chain_path="$.c")
    assert isinstance(found, Note)
    assert found.about == about
