"""The socket of a server."""

import asyncio
import socket

from litevision.serving.server import bind


def test_answers_do_not_wait_for_the_client_to_acknowledge_their_head() -> None:
    async def delays() -> list[int]:
        found: list[int] = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            of_client = writer.get_extra_info("socket")
            found.append(of_client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with bind("127.0.0.1", 0) as bound:
            server = await asyncio.start_server(answer, sock=bound)
            reader, writer = await asyncio.open_connection(*bound.getsockname())
            await reader.read()
            writer.close()
            server.close()
        return found

    assert all(asyncio.run(delays()))
