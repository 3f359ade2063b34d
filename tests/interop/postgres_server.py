"""PostgreSQL for tests: initdb and postgres of the installed Debian package, on a free loopback port, as another user where the
tests run as root. Ends with this process."""
import ctypes, glob, os, pwd, secrets, shutil, signal, socket, subprocess, tempfile, time, urllib.parse


def programs():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    return os.path.dirname(found[-1]) if found else None


class Postgres:
    def __init__(self):
        self.bin = programs()
        self.dir = tempfile.mkdtemp(prefix="frazil-pg-")
        self.password = "s3cr%t/" + secrets.token_hex(8)
        self.user = None
        if os.getuid() == 0:
            names = {p.pw_name for p in pwd.getpwall()}
            self.user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            os.chown(self.dir, self.user.pw_uid, self.user.pw_gid)
        os.chmod(self.dir, 0o755)
        pw = os.path.join(self.dir, "password")
        with open(pw, "w") as f:
            f.write(self.password + "\n")
        if self.user:
            os.chown(pw, self.user.pw_uid, self.user.pw_gid)
        self.run("initdb", "-D", self.data, "-U", "frazil", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "-N", f"--pwfile={pw}").wait()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.process = None
        self.start()
        self.wait()

    @property
    def data(self):
        return os.path.join(self.dir, "data")

    def run(self, program, *args):
        def enter():
            if self.user:
                os.setgroups([])
                os.setgid(self.user.pw_gid)
                os.setuid(self.user.pw_uid)
            ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG
        log = open(os.path.join(self.dir, "log"), "a")
        return subprocess.Popen([os.path.join(self.bin, program), *args], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.dir,
                                env={"LC_ALL": "C", "PATH": os.environ.get("PATH", "")}, preexec_fn=enter)

    def start(self):
        self.process = self.run("postgres", "-D", self.data, "-h", "127.0.0.1", "-p", str(self.port), "-k", self.dir, "-c", "fsync=off",
                                "-c", "max_connections=60")
        end = time.time() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None and time.time() < end, open(os.path.join(self.dir, "log")).read()[-2000:]
                time.sleep(0.02)

    def wait(self):
        """Until it takes connections: listening, it may still be starting up, or recovering."""
        end = time.time() + 60
        while self.run("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)).wait():
            assert time.time() < end, open(os.path.join(self.dir, "log")).read()[-2000:]
            time.sleep(0.02)

    def stop(self, how=signal.SIGINT):
        if self.process:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def uri(self, database="postgres", scheme="postgresql+psycopg2", password=None):
        return f"{scheme}://frazil:{urllib.parse.quote(password or self.password, safe='')}@127.0.0.1:{self.port}/{database}"
