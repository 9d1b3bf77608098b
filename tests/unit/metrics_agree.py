# SPDX-License-Identifier: Apache-2.0
"""usage: metrics_agree.py REQUEST.pb EXPECTED.txt

A second opinion on the encoder of metrics: Google's protobuf decodes the request, packs it again to the
same bytes, and says the lines that are expected: one for each resource, one for each point."""
import sys

from otlp_agree import request_class

TEMPORALITY = ["unspecified", "delta", "cumulative"]


def value(any_value):
    return getattr(any_value, any_value.WhichOneof("value"))


def pairs(attributes):
    keys = [a.key for a in attributes]
    assert len(set(keys)) == len(keys), keys
    return " ".join(f"{a.key}={value(a.value)}" for a in attributes)


def number(x):
    return f"{x:.9g}"


def point_line(metric, data, point):
    words = [metric.name, metric.unit, TEMPORALITY[data.aggregation_temporality]]
    if metric.WhichOneof("data") == "sum":
        words += ["monotonic" if data.is_monotonic else "level", str(point.as_int)]
    else:
        assert point.WhichOneof("optional_sum") == "sum"
        assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
        assert sum(point.bucket_counts) == point.count
        words += [str(point.count), number(point.sum),
                  ",".join(f"{number(b)}:{n}" for b, n in
                           zip([*point.explicit_bounds, float("inf")], point.bucket_counts) if n)]
    words += [f"{point.start_time_unix_nano}-{point.time_unix_nano}", f"{{{pairs(point.attributes)}}}"]
    return " ".join(words)


def lines(request):
    for resource in request.resource_metrics:
        yield f"resource {pairs(resource.resource.attributes)} {resource.schema_url}"
        for scope in resource.scope_metrics:
            assert scope.scope.name == "tagalong" and scope.schema_url == resource.schema_url
            names = [m.name for m in scope.metrics]
            assert len(set(names)) == len(names), names
            for metric in scope.metrics:
                assert metric.description
                data = getattr(metric, metric.WhichOneof("data"))
                assert data.data_points
                yield from (point_line(metric, data, p) for p in data.data_points)


def main(request_path, expected_path):
    packed = open(request_path, "rb").read()
    request = request_class("ExportMetricsServiceRequest").FromString(packed)
    assert request.SerializeToString() == packed, "not as the other encoder packs it"
    found, expected = list(lines(request)), open(expected_path).read().splitlines()
    # The points of a metric come in any order.
    assert sorted(found) == sorted(expected), "\n".join(["found:", *found, "expected:", *expected])


if __name__ == "__main__":
    main(*sys.argv[1:])
