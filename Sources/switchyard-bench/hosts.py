"""What the measurements share: servers in temporary folders, load, and what /proc says of both.

Every server listens on 127.0.0.1 at a port that the kernel chose, writes only into its own
temporary folder, and is ended by its own process id.
"""
import collections
import http.client
import json
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time

BUILD = os.path.abspath(".build/release")
PROGRAM = f"{BUILD}/switchyard"
LIMIT = f"{BUILD}/switchyard-limit"
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "post.lua")
PURCHASE = {"user_id": 123, "category": "shopping", "price": 19.99, "quantity": 3}
TICK = os.sysconf("SC_CLK_TCK")
# A smoke run shows that a measurement works, and measures nothing: a few of everything.
IS_SMOKE = os.environ.get("SWITCHYARD_SMOKE") == "1"

Memory = collections.namedtuple("Memory", "resident anonymous file")  # KiB
# `others` is the share of the machine's cores that neither the server nor the load took.
Load = collections.namedtuple("Load", "rate cpu p50 p99 answer_bytes timeouts others longest")


class Server:
    """A running server: a command that prints `listening on ADDRESS:PORT`, or has a known port."""

    def __init__(self, command, folder, port=None):
        self.folder = folder
        self.errors = f"{folder}/errors.txt"
        started = time.monotonic()
        with open(self.errors, "ab") as errors:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            self.port = port or self._announced_port()
            # The announcement wakes this reader at once, so only a known port has to be polled.
            while not self._answers():
                if self.process.poll() is not None or time.monotonic() - started > 60:
                    raise RuntimeError(self._complaint("does not answer"))
                time.sleep(0.0002)
        except BaseException:
            self.stop()
            raise
        self.start_milliseconds = (time.monotonic() - started) * 1000

    def _announced_port(self):
        for line in self.process.stdout:
            if line.startswith("listening on "):
                return int(line.rsplit(":", 1)[1])
        raise RuntimeError(self._complaint("ended before it listened"))

    def _complaint(self, what):
        with open(self.errors, errors="replace") as file:
            return f"{self.process.args[0]} {what}:\n{file.read()[-2000:]}"

    def _answers(self):
        """Whether it answers a question; any status is an answer."""
        try:
            with socket.create_connection(("127.0.0.1", self.port)) as client:
                client.sendall(b"GET /health/live HTTP/1.1\r\nHost: bench\r\n\r\n")
                return client.recv(4096).startswith(b"HTTP/1.1 ")
        except ConnectionError:
            return False

    def processes(self):
        """The ids of the process and of all that descend from it."""
        parents = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                parents[int(name)] = int(stat(name)[1])
            except (FileNotFoundError, ProcessLookupError):
                pass  # it has ended meanwhile
        found = [self.process.pid]
        for one in found:
            found += [child for child, parent in parents.items() if parent == one]
        return found

    def cpu_seconds(self):
        """User and system time of all its processes, and of the children that have ended."""
        return sum(sum(map(int, stat(one)[11:15])) for one in self.processes()) / TICK

    def memory(self):
        """The sum over all its processes."""
        totals = [0, 0, 0, 0]
        for one in self.processes():
            with open(f"/proc/{one}/status") as file:
                fields = dict(line.split(":", 1) for line in file)
            for index, name in enumerate(("VmRSS", "RssAnon", "RssFile", "RssShmem")):
                totals[index] += int(fields[name].split()[0])
        return Memory(totals[0], totals[1], totals[2] + totals[3])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def stat(process):
    """The fields of /proc/PID/stat behind the name: the state, the parent, and so on."""
    with open(f"/proc/{process}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()


def limit(folder):
    return Server([LIMIT], folder)


def nginx(folder, body, log="off"):
    """nginx with `return 200`, two workers; `log` is what stands behind `access_log`."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    temporary = "".join(
        f"  {name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    with open(f"{folder}/nginx.conf", "w") as file:
        file.write(f"""daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
{temporary}  access_log {log.format(folder=folder)};
  default_type application/json;
  keepalive_requests 1000000000;
  server {{
    listen 127.0.0.1:{port};
    location / {{ return 200 '{body}'; }}
  }}
}}
""")
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    words = ["-c", f"{folder}/nginx.conf", "-e", f"{folder}/errors.txt"]
    return Server([program, *words], folder, port)


def folders(folder):
    return [word for name in ("endpoints", "deployments", "logs", "state")
            for word in (f"--{name}", f"{folder}/{name}")]


def prepare(folder, endpoints, deployments=()):
    """Writes endpoints (name: text) and deploys builds: (name, file, further words) each."""
    os.makedirs(f"{folder}/endpoints", exist_ok=True)
    for name, text in endpoints.items():
        with open(f"{folder}/endpoints/{name}.yaml", "w") as file:
            file.write(text)
    for name, library, *words in deployments:
        switchyard(folder, "deploy", name, f"{BUILD}/lib{library}.so", *words)


def switchyard(folder, verb, *words):
    """Runs one command of the program; its folders are those in `folder`."""
    subprocess.run(
        [PROGRAM, verb, *words, "--deployments", f"{folder}/deployments"],
        check=True, stdout=subprocess.DEVNULL)


def host(folder, *words):
    return Server(
        [PROGRAM, "serve", "--listen", "127.0.0.1:0", "--settle", "0", *folders(folder), *words],
        folder)


def ask(server, path, body):
    """One answer: its status and its body."""
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    client.request("POST", path, body, {"Content-Type": "application/json"})
    answer = client.getresponse()
    return answer.status, answer.read().decode()


def load(server, requests, seconds, connections=64, delay=0, closes=False):
    """Posts `requests`, (path, body) each, in turn; every answer must have a status of success.

    With a delay each connection waits so many milliseconds between an answer and the next request;
    one that closes is used once.
    """
    file = f"{server.folder}/requests.txt"
    with open(file, "w") as lines:
        lines.writelines(f"{path} {body}\n" for path, body in requests)
    threads = min(2, connections)
    before, others_before, begun = server.cpu_seconds(), foreign_seconds(), time.monotonic()
    run = subprocess.run(
        ["wrk", f"-t{threads}", f"-c{connections}", f"-d{round(seconds)}s", "--latency",
         "-s", SCRIPT, f"http://127.0.0.1:{server.port}", "--", file, str(delay),
         "close" if closes else "keep"],
        capture_output=True, text=True)
    cpu = server.cpu_seconds() - before
    others = foreign_seconds() - others_before - cpu
    others /= (time.monotonic() - begun) * os.cpu_count()
    found = [line for line in run.stdout.splitlines() if line.startswith("NUMBERS ")]
    if not found:
        raise RuntimeError(f"wrk has failed:\n{run.stdout}{run.stderr}")
    numbers = map(int, found[0].split()[1:])
    count, duration, bytes_read, p50, p99, refused, broken, timeouts, longest = numbers
    if refused or broken or not count:
        raise RuntimeError(
            f"{refused} of {count} answers were no success, {broken} connections broke; one says "
            f"{ask(server, *requests[0])}")
    return Load(
        count / duration * 1e6, cpu / count * 1e6, p50, p99, bytes_read / count, timeouts, others,
        longest)


def foreign_seconds():
    """Time that all cores were busy or taken away, without that of our own ended children."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (user + nice + system + irq + softirq + steal) / TICK - own.ru_utime - own.ru_stime


def prices(path="/v1/pricing_optimizer"):
    """The README's request, from a thousand users."""
    return [(path, json.dumps({"data": {**PURCHASE, "user_id": user}}))
            for user in range(123, 1123)]


def raise_descriptors(wanted):
    """Raises the limit of open files; returns what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for target in (max(wanted, hard), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, target))
            break
        except (ValueError, PermissionError):
            pass
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def others(loads):
    """A sentence about the machine that the loads were measured on."""
    shares = [load.others for load in loads]
    return (f"Others took {median(shares):.0%} of the cores, at most {max(shares):.0%}: what is "
            "measured beside them is no better than that.")


def turns(rounds, cases):
    """Every case in every round, each round beginning with another one: number and case."""
    cases = list(cases)
    for number in range(rounds):
        turn = number % len(cases)
        for case in cases[turn:] + cases[:turn]:
            yield number, case


def few(full, least=1):
    """A count, or the first of some cases; of either `least` in a smoke run."""
    if not IS_SMOKE:
        return full
    return least if isinstance(full, int) else full[:least]


def folder():
    return tempfile.TemporaryDirectory(prefix="switchyard-bench-")


def median(numbers):
    return statistics.median(numbers)


def table(head, rows):
    """A Markdown table; the first column is text, the others numbers."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def verdict(what, value, target, unit="", at_least=False):
    """One line that says whether a target is met."""
    is_met = value >= target if at_least else value <= target
    sign = "≥" if at_least else "≤"
    return (f"- {'met' if is_met else '**missed**'}: {what}: {value:.3g}{unit}, "
            f"wanted {sign} {target:g}{unit}")
