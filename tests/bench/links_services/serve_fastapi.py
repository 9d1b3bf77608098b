# SPDX-License-Identifier: Apache-2.0
"""FastAPI: one route on the loop, one in threads."""
import ask
import ask_async
import fastapi
import fastapi.responses

app = fastapi.FastAPI()


@app.on_event("startup")
async def begin():
    ask_async.begin()


@app.get("/sync-{shape}/r/{number}")
def in_a_thread(shape: str, number: int):
    ask.answer(f"/{shape}/r/{number}", lambda: None)
    return fastapi.responses.PlainTextResponse("ok\n")


@app.get("/{shape}/r/{number}")
async def on_the_loop(shape: str, number: int):
    async def send():
        pass
    await ask_async.answer(f"/{shape}/r/{number}", send)
    return fastapi.responses.PlainTextResponse("ok\n")
