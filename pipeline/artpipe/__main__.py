"""`python -m artpipe`: the same as the command `artpipe`."""

from artpipe.pipeline.cli import main

if __name__ == "__main__":
    main()
