# The recipes people and the build use. `just` alone lists them.

default:
    @just --list

# What a reviewer runs and what the build runs
check:
    .ci/run

# All tests
test:
    cargo test --workspace

# Rewrite the golden files after an intended change; review the diff
golden:
    GOLDEN=write cargo test --workspace

# The whole story in one process
demo:
    cargo run --release -- demo

# Ratios of ours against bare servers, in one run
bench:
    cargo bench --workspace

# What windows of destinations do over time, as SVG files in FOLDER (docs/0006)
plots FOLDER:
    cargo run -p mesh-tests --bin delivery-plots -- {{FOLDER}}

# The FoundationDB engine over the stand-in, or over the cluster of MESH_FDB_CLUSTER_FILE
foundationdb:
    .ci/foundationdb

# Stories of the cluster in a bottle, a million unless told otherwise, with flags of its own (docs/0008)
soak SEEDS="1000000" *FLAGS:
    cargo run --release -p mesh-bottle --bin soak -- --seeds {{SEEDS}} {{FLAGS}}

# What can be checked of image, compose file, manifests and units without an engine
deploy:
    .ci/deploy
