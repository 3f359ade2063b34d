"""What maker and test of the golden tables share: where the tables lie, and values as JSON can hold them."""
import contextlib, datetime, decimal, fcntl, json, math, os, shutil, stat, uuid

ROOT = "/tmp/frazil-golden"  # Iceberg's metadata has absolute paths: golden tables live here and nowhere else


@contextlib.contextmanager
def root_locked():
    """ROOT exists, is ours, and nobody else fills or empties it meanwhile."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(ROOT, 0o755)
    st = os.lstat(ROOT)
    if not stat.S_ISDIR(st.st_mode) or st.st_uid != os.getuid():
        raise RuntimeError(f"{ROOT} belongs to somebody else; golden tables can't be unpacked there")
    lock = os.open(os.path.join(ROOT, ".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def root_clear():
    for f in os.listdir(ROOT):
        path = os.path.join(ROOT, f)
        if f != ".lock":
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)


def plain(v):
    """A value from pyarrow's to_pylist as JSON has it, without losing anything."""
    if v is None or isinstance(v, (bool, int, str)):
        return v
    if isinstance(v, float):
        if math.isnan(v):
            return "NaN"
        return v if math.isfinite(v) else "Infinity" if v > 0 else "-Infinity"
    if isinstance(v, (datetime.datetime, datetime.date, datetime.time)):
        return v.isoformat()
    if isinstance(v, (decimal.Decimal, uuid.UUID)):
        return str(v)
    if isinstance(v, (bytes, bytearray)):
        return "0x" + v.hex()
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, list) and v and all(isinstance(x, tuple) for x in v):  # a map
        return {"map": sorted(([plain(k), plain(x)] for k, x in v), key=json.dumps)}
    if isinstance(v, (list, tuple)):
        return [plain(x) for x in v]
    raise TypeError(f"{type(v)}: {v!r}")


def sort_rows(rows):
    return sorted(rows, key=lambda r: json.dumps(r, sort_keys=True))


def type_name(t):
    """An Arrow type without what engines may choose: offsets' widths, views, names of members of lists and maps."""
    import pyarrow as pa
    if isinstance(t, pa.BaseExtensionType):
        t = t.storage_type
    if pa.types.is_struct(t):
        return "struct<" + ", ".join(f"{f.name}: {type_name(f.type)}" for f in t) + ">"
    if pa.types.is_map(t):
        return f"map<{type_name(t.key_type)}, {type_name(t.item_type)}>"
    if pa.types.is_list(t) or pa.types.is_large_list(t):
        return f"list<{type_name(t.value_type)}>"
    return str(t).replace("large_", "").replace("_view", "")
