# SPDX-License-Identifier: Apache-2.0
"""Flask, on its own server with threads (arguments: port) or as `app`."""
import logging
import sys

import ask
import flask

logging.getLogger("werkzeug").disabled = True
app = flask.Flask(__name__)


@app.route("/<shape>/r/<number>")
def handle(shape, number):
    ask.answer(flask.request.path, lambda: None)
    return "ok\n"


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]), threaded=True)
