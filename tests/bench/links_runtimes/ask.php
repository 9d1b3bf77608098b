<?php
// SPDX-License-Identifier: Apache-2.0
// What a service in PHP does with a request /SHAPE/r/ID: as links_services/ask.py, with curl or PHP's own
// streams (CLIENT). It knows nothing of tracing, but that PASS=1 gives the caller's traceparent along.
$upstream = getenv('UPSTREAM') ?: $_SERVER['UPSTREAM'];
$client = getenv('CLIENT') ?: $_SERVER['CLIENT'];
$pass = getenv('PASS') ?: ($_SERVER['PASS'] ?? '');
[, $shape, , $number] = explode('/', parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH));

function given(): array
{
    global $pass;
    return $pass && isset($_SERVER['HTTP_TRACEPARENT']) ? ["traceparent: {$_SERVER['HTTP_TRACEPARENT']}"] : [];
}

function url(int $n, string $host = '127.0.0.1'): string
{
    global $upstream, $number;
    return "http://$host:$upstream/out/$number/$n";
}

function handle(string $url)
{
    $c = curl_init($url);
    curl_setopt_array($c, [CURLOPT_RETURNTRANSFER => true, CURLOPT_HTTPHEADER => given()]);
    return $c;
}

function get(string $url): void
{
    global $client;
    if ($client === 'curl') {
        curl_exec(handle($url));
        return;
    }
    file_get_contents($url, false, stream_context_create(['http' => [
        'header' => [...given(), 'Connection: close'], 'protocol_version' => '1.1']]));
}

function pause(): void
{
    usleep(random_int(0, 10000));
}

function in_turn(string $host = '127.0.0.1'): void
{
    for ($n = 0; $n < 2; $n++) {
        get(url($n, $host));
    }
}

function gather(): void
{
    $all = curl_multi_init();
    for ($n = 0; $n < 3; $n++) {
        curl_multi_add_handle($all, handle(url($n)));
    }
    do {
        curl_multi_exec($all, $running);
        curl_multi_select($all);
    } while ($running);
}

function answer(): void
{
    header('Content-Length: 3');
    echo "ok\n";
}

switch ($shape) {
case 'before':
    pause();
    in_turn();
    break;
case 'between':
    for ($n = 0; $n < 3; $n++) {
        get(url($n));
        pause();
    }
    break;
case 'fresh':
    in_turn();
    break;
case 'names':
    in_turn('localhost');
    break;
case 'gather':
    gather();
    break;
case 'after':
    answer();
    flush();
    in_turn();
    exit;
}
answer();
