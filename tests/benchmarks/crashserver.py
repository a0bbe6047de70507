"""A web server that answers with its port; `crashes` kills it."""

import asyncio
import sys

PORT = int(sys.argv[1])
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%d" % (len(str(PORT)), PORT)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer whatever is asked."""
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    """Serve until the end."""
    async with await asyncio.start_server(answer, "127.0.0.1", PORT) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
