"""Checks which packages an embedded library compiles. Reads `swift package dump-package`."""

import json
import sys

# No NIO, no HTTP client, no argument parser.
ALLOWED = {
    "TFTPServer": {"CoreMetrics", "Crypto", "Logging", "ServiceLifecycle", "SystemPackage"},
    "TFTPClient": {"Crypto", "SystemPackage"},
}
# Sealed transfers, and the digest that a client compares.
CRYPTO_USERS = {"TFTPSeal", "TFTPClient"}


def main():
    targets = {target["name"]: target for target in json.load(sys.stdin)["targets"]}
    failed = False
    for library, allowed in ALLOWED.items():
        modules, users = closure(library, targets)
        excess = set(users) - allowed
        sealers = users.get("Crypto", set()) - CRYPTO_USERS
        for product in sorted(excess):
            print(f"{library} compiles {product}, by {', '.join(sorted(users[product]))}", file=sys.stderr)
        if sealers:
            print(f"{library} uses Crypto in {', '.join(sorted(sealers))}", file=sys.stderr)
        failed = failed or bool(excess or sealers)
        print(f"{library}: {len(modules)} modules of this package, and {', '.join(sorted(users))}")
    return 1 if failed else 0


def closure(library, targets):
    """The targets that are compiled, and by product of other packages the targets that use it."""
    modules, users, waiting = set(), {}, [library]
    while waiting:
        name = waiting.pop()
        if name in modules:
            continue
        modules.add(name)
        for dependency in targets[name]["dependencies"]:
            other = next(iter(dependency.values()))[0]
            if other in targets:
                waiting.append(other)
            else:
                users.setdefault(other, set()).add(name)
    return modules, users


if __name__ == "__main__":
    sys.exit(main())
