# SPDX-License-Identifier: Apache-2.0
"""Points of the metrics a receiver got, so that tests can add them up."""
DELTA, CUMULATIVE = 1, 2
BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
SERVER, CLIENT = "http.server.request.duration", "http.client.request.duration"


def plain(attributes):
    """OTLP attributes as a dict; a key that is there twice is an error."""
    out = {}
    for a in attributes:
        assert a["key"] not in out, a
        kind, value = next(iter(a["value"].items()))
        out[a["key"]] = int(value) if kind == "intValue" else value     # in JSON a string
    return out


class Point:
    def __init__(self, metric, data, p):
        self.name, self.unit = metric["name"], metric.get("unit")
        self.resource = plain(metric["resource"])
        self.attributes = plain(p.get("attributes", []))
        self.temporality = data["aggregationTemporality"]
        self.monotonic = data.get("isMonotonic", False)
        self.start, self.time = int(p["startTimeUnixNano"]), int(p["timeUnixNano"])
        self.count, self.sum = int(p.get("count", 0)), p.get("sum")
        self.buckets, self.bounds = [int(n) for n in p.get("bucketCounts", [])], p.get("explicitBounds")
        self.value = int(p.get("asInt", 0))
        if "histogram" in metric:
            assert self.bounds == BOUNDS and len(self.buckets) == len(BOUNDS) + 1
            assert sum(self.buckets) == self.count and self.unit == "s"
        assert self.time > self.start > 0

    @property
    def service(self):
        return self.resource["service.name"]

    @property
    def instance(self):
        return self.resource["service.instance.id"]

    @property
    def series(self):
        return self.instance, self.name, tuple(sorted(self.attributes.items()))

    def __getitem__(self, key):
        return self.attributes.get(key)

    def __repr__(self):
        return f"{self.service} {self.name} {self.attributes} {self.count or self.value}"


def points_of(metrics, name=None, **resource):
    out = []
    for m in metrics:
        data = m.get("histogram") or m.get("sum") or m["gauge"]
        out += [Point(m, data, p) for p in data["dataPoints"]]
    return [p for p in out if (not name or p.name == name) and
            all(p.resource.get(k.replace("_", ".")) == v for k, v in resource.items())]


def latest(points):
    """Of cumulative points the last of each series."""
    out = {}
    for p in points:
        assert p.temporality == CUMULATIVE
        last = out.get(p.series)
        assert not last or (p.start == last.start and p.time >= last.time), (last, p)
        if last and (p.buckets or p.monotonic):
            assert p.count >= last.count and p.value >= last.value, (last, p)
        out[p.series] = p
    return list(out.values())


def counted(points):
    """Requests by all of them together."""
    return sum(p.count for p in points)
