"""Links the archive for the board's processor and floats, which its compiler flags tell."""

import os

Import("env")  # noqa: F821

flags = [str(flag) for flag in env.Flatten(env.get("CCFLAGS", []))]  # noqa: F821


def value(name):
    return next((flag.split("=", 1)[1] for flag in flags if flag.startswith(name + "=")), None)


parts = [part for part in (value("-mfpu"), value("-mfloat-abi")) if part]
folder = os.path.join(os.getcwd(), "src", value("-mcpu") or "unknown", "-".join(parts))
if not os.path.isfile(os.path.join(folder, "libmwt.a")):
    env.Exit("MWT: no library for this board: " + os.path.relpath(folder))  # noqa: F821
env.Append(LIBPATH=[folder], LIBS=["mwt"])  # noqa: F821
