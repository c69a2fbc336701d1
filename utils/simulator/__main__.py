"""`python -m utils.simulator`: compile the engine now, so that the first cell of the first lesson need not wait for it."""

from utils.simulator.engine import engine, library_path

if __name__ == "__main__":
    engine()
    print(f"simulator ready: {library_path()}")
