# SPDX-License-Identifier: Apache-2.0
"""The middle service: Flask, asking the stock service for every order. Knows nothing of tracing."""
import os
import urllib.error
import urllib.request

from flask import Flask, jsonify

app = Flask(__name__)
STOCK = os.environ["STOCK_URL"]


@app.get("/orders/<number>")
def order(number):
    try:
        with urllib.request.urlopen(f"{STOCK}/items/{number}", timeout=5) as answer:
            return jsonify(order=number, stock=answer.read().decode())
    except urllib.error.HTTPError as error:
        return jsonify(order=number, error=f"stock said {error.code}"), 502
