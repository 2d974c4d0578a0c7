"""``python -m replica_access``."""

from replica_access.cli.app import main

if __name__ == "__main__":
    main()
