"""frazil's answers against DuckDB's over the same Parquet files, and against frazil's own where rows are asked for differently.

FRAZIL_TEST_LONG=1 runs more random queries; FRAZIL_SQL_SEED and FRAZIL_SQL_COUNT choose which and how many."""
import glob
import os
import random

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

import sql_data
import sql_random
from conftest import Lake
from sql_compare import Peer, both
from sql_queries import ERRORS, NO_ERRORS, PLAIN
from test_csv import flights  # noqa: F401

LONG = bool(os.environ.get("FRAZIL_TEST_LONG"))
SEED = int(os.environ.get("FRAZIL_SQL_SEED", "1"))
COUNT = int(os.environ.get("FRAZIL_SQL_COUNT", "3000" if LONG else "300"))


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sql")
    lake = Lake(folder / "lake")
    return Peer(lake, sql_data.make_tables(lake, folder))


def check(found):
    assert not found, f"{len(found)} queries differ\n\n" + "\n\n".join(f"{q}\n{d}" for q, d in found[:20])


def test_tables_as_they_were_written(peer):
    check([(q, d) for q in ("select * from w", "select * from p", "select * from dim", "select * from tiny") if (d := peer.differs(q))])


def test_by_hand(peer):
    check([(q, d) for q in PLAIN + NO_ERRORS if (d := peer.differs(q))])


def test_errors(peer):
    found = []
    for query, word in ERRORS:
        rows, err = peer.mine(query)
        if rows is not None:
            found.append((query, f"has an answer: {rows[:2]}"))
        elif word not in err:
            found.append((query, f"doesn't say {word!r}: {err}"))
    check(found)


def test_random_queries(peer):
    found, tried = [], 0
    for i in range(COUNT):
        query = sql_random.query(random.Random(SEED * 1000003 + i))
        diff = peer.differs(query, error_free=False)
        tried += 1
        if diff:
            found.append((f"-- number {i}\n{both(query)[0]}", diff))
    check(found)


def test_a_predicate_parts_the_table(peer):
    """p, not p and p is null: each row is in exactly one; a filter is worth what the same condition inside an aggregate is."""
    found = []
    for i in range(COUNT // 6):
        rng = random.Random(SEED * 7919 + i)
        table = rng.choice(["w", "w", "p"])
        p = both(sql_random.predicate(rng, sql_random.WIDE, 3))[0]
        rows, err = peer.mine(f"select sum(case when {p} then 1 else 0 end), sum(case when not ({p}) then 1 else 0 end), "
                              f"sum(case when ({p}) is null then 1 else 0 end), sum(case when {p} then id else 0 end) from {table}")
        if err:
            if "out of range" not in err:
                found.append((p, err))
            continue
        parts = []
        for c in (p, f"not ({p})", f"({p}) is null"):
            r, err = peer.mine(f"select count(*), coalesce(sum(id), 0) from {table} where {c}")
            parts.append(r[0] if r else [err, err])
        if [x[0] for x in parts] + [parts[0][1]] != rows[0] or sum(map(int, rows[0][:3])) != sum(sql_data.FILES):
            found.append((f"{table}: {p}", f"inside an aggregate {rows[0]}, as filters {parts}"))
    check(found)


def test_threads_and_memory_do_not_change_answers(peer):
    heavy = [
        "select t, count(*), sum(k), min(ts), max(s) from w group by t", "select s, i, count(distinct t) from w group by s, i", "select * from w order by t, id", "select id from w order by f desc, id",
        "select a.id, b.id from w a join w b on a.i = b.i and a.k = b.k order by 1, 2", "select a.id, b.t from w a join w b on a.id = b.id + 1", "select distinct t, d from w", "select count(distinct t), count(distinct id), count(distinct j) from w",
        "select id from w where i > 10 limit 100", "select r, sum(v), avg(v) from w group by r",
    ]
    found = []
    for query in heavy:
        ordered = "order by" in query or "limit" in query
        first = None
        for args in ([], ["--threads", "1"], ["--threads", "2"], ["--threads", "8"], ["--memory-limit", "4M"], ["--memory-limit", "4M", "--threads", "1"], ["--memory-limit", "2G"]):
            rows, err = peer.mine(query, *args)
            if err:
                found.append((query, f"{args}: {err}"))
                continue
            if "avg" in query:
                rows = [[r[0]] + ["%.9g" % float(x) for x in r[1:]] for r in rows]
            if not ordered:
                rows.sort(key=str)
            first = rows if first is None else first
            if rows != first:
                at = next((i for i, (a, b) in enumerate(zip(rows, first)) if a != b), "the end")
                found.append((query, f"{args}: {len(rows)} rows / {len(first)}, the first difference at {at}"))
    check(found)


def test_explain_never_fails(peer):
    found = [(q, err) for q in PLAIN for err in [peer.mine("explain " + both(q)[0])[1]] if err]
    for i in range(COUNT // 10):
        q = both(sql_random.query(random.Random(SEED * 1000003 + i)))[0]
        rows, err = peer.mine("explain " + q)
        if err and not any(w in err for w in ("out of range", "division")):
            found.append((q, err))
    check(found)


def test_flights(peer, flights):  # noqa: F811
    con = peer.con
    peer.lake.load(flights, "flights")
    files = glob.glob(f"{peer.lake.path}/warehouse/default/flights/data/*.parquet")
    con.execute(f"create or replace view flights as select * from read_parquet({files!r})")
    queries = [
        "select carrier, count(*), avg(dep_delay), max(arr_delay), min(distance) from {t} group by carrier", "select origin, dest, count(*) n from {t} group by all having count(*) > 5000 order by n desc, origin, dest", "select month, count(*), count(dep_time), sum(distance) from {t} group by month order by month", "select count(distinct tailnum), count(distinct dest), count(distinct flight) from {t}",
        "select count(*) from {t} where dep_delay is null", "select count(*) from {t} where arr_delay > 60 and carrier in ('UA', 'AA') or dest like 'S%'", "select tailnum, count(*) n from {t} group by tailnum order by n desc, tailnum limit 10", "select date_trunc('month', time_hour), count(*) from {t} group by 1 order by 1", "select * from {t} order by arr_delay desc nulls last, tailnum, time_hour, flight limit 20",
        "select a.carrier, count(*) from {t} a join (select carrier, max(distance) m from {t} group by carrier) b on a.carrier = b.carrier and a.distance = b.m group by a.carrier", "select hour(time_hour), avg(arr_delay - dep_delay) from {t} where arr_delay is not null group by 1", "select min(time_hour), max(time_hour), min(tailnum), max(tailnum) from {t}",
    ]
    found = [(q, d) for q in queries if (d := peer.differs(q.format(t="flights")))]
    for q in queries:  # from the text itself
        if d := peer.differs((q.format(t=f"'{flights}'"), q.format(t="flights"))):
            found.append((q, d))
    check(found)
