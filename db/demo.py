"""The mark of a demo: whether the prices in a database are made up."""

from db.connect.types import Connection

_MARK = "INSERT INTO demo DEFAULT VALUES ON CONFLICT DO NOTHING"
_IS_DEMO = "SELECT EXISTS (SELECT FROM demo)"


async def mark_demo(connection: Connection) -> None:
    """Mark the prices in this database as made up; nothing removes the mark."""
    await connection.execute(_MARK)


async def is_demo(connection: Connection) -> bool:
    """Return whether the prices in this database are made up."""
    marked: bool = await connection.fetchval(_IS_DEMO)
    return marked
