"""The rules of the house, third part: no switch of the whole process is touched, and parts are small."""

import ast
import re
from collections import defaultdict

import pytest

from tests.house import CHECKOUT, dotted_uses, flat, functions, module_of, room_of, sources, tree_of, trees

# Switches of the whole process, which other threads and the user's own code would see.
SWITCHES = re.compile(
    r"^(warnings\.(catch_warnings|simplefilter|filterwarnings|resetwarnings|showwarning|filters)"
    r"|os\.(umask|chdir|fchdir|putenv|unsetenv|setuid|setgid|nice|dup2|sched_setaffinity)"
    r"|locale\.(setlocale|\w*resetlocale)|time\.tzset"
    r"|signal\.(signal|alarm|setitimer|siginterrupt|pthread_sigmask|set_wakeup_fd)"
    r"|random\.(seed|setstate|random|shuffle|randint|choice|sample|uniform|gauss)"
    r"|numpy\.random\.(seed|set_state|random|rand|randn|randint|shuffle|permutation|normal|uniform|choice)"
    r"|numpy\.(seterr|seterrcall|setbufsize|set_printoptions)"
    r"|decimal\.(getcontext|setcontext)"
    r"|sys\.(setrecursionlimit|setswitchinterval|setprofile|settrace|excepthook|unraisablehook"
    r"|displayhook|set_int_max_str_digits)"
    r"|gc\.(enable|disable|freeze|set_threshold)|faulthandler\.|tracemalloc\.(start|stop)"
    r"|logging\.(basicConfig|disable|captureWarnings|setLoggerClass)"
    r"|contextlib\.(redirect_stdout|redirect_stderr|chdir)"
    r"|threading\.(stack_size|setprofile|settrace|excepthook)"
    r"|multiprocessing\.(set_start_method|set_executable)|resource\.setrlimit|socket\.setdefaulttimeout"
    r"|matplotlib\.(use|rc|rcParams|style)|matplotlib\.pyplot"
    r"|torch\.(manual_seed|seed|set_num_threads|set_num_interop_threads|set_default_dtype|use_deterministic_algorithms)"
    r"|numba\.(set_num_threads|config)|pandas\.set_option"
    r")\b"
)
# Assigned, these are switches; read, they are not.
WHEN_CHANGED = re.compile(
    r"^(os\.environ|sys\.(stdout|stderr|stdin|path|modules|argv|flags)|tempfile\.tempdir|builtins\.)"
)
CHANGES = {"update", "setdefault", "pop", "popitem", "clear", "append", "insert", "extend", "remove", "__setitem__"}
# The program `fastdl` is the whole process: its signals, its streams. A pool of processes is started without Ctrl-C.
OF_THE_PROGRAM = {
    "fastdl.cli": {"signal.signal", "os.dup2"},
    "fastdl.cli._cluster": {"signal.signal"},
}


def changed(tree):
    """The dotted names that a tree assigns, deletes, adds to or calls a changing method of."""
    names = {id(node): name for name, node in dotted_uses(tree)}
    for node in ast.walk(tree):
        targets = []
        if isinstance(node, (ast.Assign, ast.Delete)):
            targets = node.targets
        elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
            targets = [node.target]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
            targets = [node.func.value]
        for target in targets:
            for part in target.elts if isinstance(target, ast.Tuple) else [target]:
                place = part.value if isinstance(part, ast.Subscript) else part
                if id(place) in names:
                    yield names[id(place)]


ALL = [*sources(), *sources(CHECKOUT / "fastdl_ext")]


@pytest.mark.parametrize("path", ALL, ids=module_of)
def test_no_process_wide_switch_at_work(path):
    tree = tree_of(path)
    free = OF_THE_PROGRAM.get(module_of(path), set())
    found = {name for name, _ in dotted_uses(tree) if SWITCHES.match(name)}
    found |= {name for name in changed(tree) if WHEN_CHANGED.match(name)}
    assert found == free, f"{path}: {sorted(found)}"


def test_kernels_touch_no_process_wide_switch():
    for path in flat("fastdl_ext", ".pyx", ".pxd", ".pxi", ".h"):
        found = re.search(
            r"\b(setlocale|umask|chdir|setenv|putenv|fesetround|fesetenv|feenableexcept|_controlfp|signal|srand|rand"
            r"|_mm_setcsr|_MM_SET_\w+|openblas_set_num_threads|omp_set_num_threads)\s*\(",
            path.read_text(),
        )
        assert not found, f"{path}: {found and found[0]}"


# Small parts.

LONGEST_FILE, LONGEST_FUNCTION, MOST_POSITIONAL = 400, 60, 6
MOST_ARGUMENTS_OF_A_KERNEL = 8
# Kernel functions that have more, and how many: C functions on plain pointers that others call (their `.pxd` promises
# them), and some whose records are still to come.  These numbers may only fall.
MORE_ARGUMENTS = {
    "features": {"basis_rows": 9},
    "graphs_aggregation": {"neighbours_f32": 10, "neighbours": 10},
    "audio": {"buckets": 9, "step_up": 11, "step_up_int32": 9},
    "linear_newton": {"slopes": 9},
    "losses": {"rows": 15, "rows_f32": 15, "rows_f64": 15, "one_model": 13},
    "points_hard_voxels": {"enter_points": 10, "fill": 13},
    "points_reduction": {"sum_runs": 11, "sum_by_key": 9},
    "sequences": {"letters_of_rows": 9},
}
# And those of more lines: one loop each, whose state is in registers.
LONGER_KERNELS = {"points": {"find_or_add": 67}, "points_reduction": {"sum_runs": 66}, "power": {"power": 62}}
# How often a shell still chooses the reference by hand, and names that stand twice: these numbers may only fall.
BRANCHES, REPEATED = 1, 1


def lines_of(function):
    """Lines of a function without its docstring."""
    text = function.body[0] if ast.get_docstring(function) is not None else None
    return function.end_lineno - function.lineno + 1 - (text.end_lineno - text.lineno + 1 if text else 0)


@pytest.mark.parametrize("path", ALL, ids=module_of)
def test_every_module_says_what_it_is_and_is_short(path):
    tree = tree_of(path)
    assert ast.get_docstring(tree)
    for function in functions(tree):
        assert lines_of(function) <= LONGEST_FUNCTION, f"{function.name} has {lines_of(function)} lines"
        room = room_of(module_of(path))
        if room == "reference" or (room == "torch" and function.name == "forward"):
            continue  # a reference has the arguments of its kernel, autograd's forward those of what it differentiates
        positional = len(function.args.posonlyargs) + len(function.args.args)
        own = function.args.args[:1] and function.args.args[0].arg in ("self", "cls")
        assert positional - bool(own) <= MOST_POSITIONAL, f"{function.name} has {positional} positional arguments"


@pytest.mark.parametrize("folder", ["fastdl", "fastdl_ext", "tests", "bench", "docs"])
def test_no_file_is_long(folder):
    kinds = {".py", ".pyi", ".pyx", ".pxd", ".pxi", ".h", ".js", ".css"}
    paths = [path for path in sources(CHECKOUT / folder, "*.*") if path.suffix in kinds and "_build" not in path.parts]
    assert paths
    long = {path.name: n for path in paths if (n := len(path.read_text().splitlines())) > LONGEST_FILE}
    assert not long


KERNEL_FILES = flat("fastdl_ext", ".pyx", ".pxd", ".pxi")
FUNCTION = re.compile(r"^(?:cdef|cpdef|def)\b(?![^\n(]*\b(?:struct|enum|extern)\b)[^\n(=]*?(\w+)\(", re.M)


def kernel_functions(path):
    """(name, arguments, lines) of each function of a Cython file."""
    text = path.read_text()
    for found in FUNCTION.finditer(text):
        depth, at, kept = 1, found.end(), ""
        while depth:
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(text[at], 0)
            kept += text[at] if depth == 1 and text[at] not in "])" else ""  # commas within brackets do not count
            at += 1
        arguments = [a for a in kept.split(",") if a.strip() not in ("", "*")]
        body = re.split(r"\n(?=\S)", text[at:], maxsplit=1)[0]
        yield found[1], arguments, body.rstrip().count("\n") + 1


@pytest.mark.parametrize("path", KERNEL_FILES, ids=lambda path: path.name)
def test_kernels_are_small(path):
    """A struct or a record takes the place of more arguments, a function of its own that of more lines."""
    counts, lengths = {}, {}
    for name, arguments, lines in kernel_functions(path):
        if len(arguments) > MOST_ARGUMENTS_OF_A_KERNEL:
            counts[name] = len(arguments)
        if lines > LONGEST_FUNCTION:
            lengths[name] = lines
    assert counts.items() <= MORE_ARGUMENTS.get(path.stem, {}).items()
    assert lengths.items() <= LONGER_KERNELS.get(path.stem, {}).items()


def test_every_kernel_says_what_it_is():
    """Its head names the algorithm, and what bounds it: bytes or operations."""
    for path in flat("fastdl_ext", ".pyx", ".pxd", ".h"):
        text = path.read_text()
        assert text.startswith(('"""', "/*")), path
        head = re.split(r'"""|\*/', text.removeprefix('"""'))[0].lower()
        if path.suffix == ".pyx" and path.stem != "cpu":
            assert re.search(r"\bbound|limit\b|moves|costs", head), f"{path}: what bounds it?"


def asks_for_a_kernel(node):
    """Whether a part of a program depends on there being a kernel, but for `_kernels.load(stem) or reference`."""
    if isinstance(node, ast.Compare):
        asked = node.left if any(isinstance(c, ast.Constant) and c.value is None for c in node.comparators) else None
    else:
        asked = node.test if isinstance(node, (ast.If, ast.IfExp, ast.While)) else None
        asked = asked.operand if isinstance(asked, ast.UnaryOp) else asked
        asked = asked if isinstance(asked, ast.Name) else None
    return asked is not None and any(isinstance(n, ast.Name) and "kernel" in n.id for n in ast.walk(asked))


def test_the_reference_is_chosen_in_one_way():
    """`kernel = _kernels.load(stem) or reference`: both have the same names and arguments."""
    found = [f"{path}:{node.lineno}" for path, tree in trees() for node in ast.walk(tree) if asks_for_a_kernel(node)]
    assert len(found) <= BRANCHES, "\n".join(found)


def test_a_name_is_defined_once():
    homes = defaultdict(list)
    for path, tree in trees():
        if room_of(module_of(path)) in ("reference", "cli", "report", "torch"):
            continue
        for node in tree.body:
            if isinstance(node, ast.ClassDef) or (isinstance(node, ast.FunctionDef) and not node.name.startswith("__")):
                homes[node.name].append(module_of(path))
    again = {
        name: where
        for name, where in homes.items()
        if len(set(where)) > 1 and not name.startswith("_") and name != "fit"
    }
    assert len(again) <= REPEATED, again
