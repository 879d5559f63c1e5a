import fc from 'fast-check';

// The same examples in each run, as in the Python tests, so that a change is not blamed for an old fault found by
// chance. `FAST_CHECK_SEED=$RANDOM npm test` looks for such faults.
fc.configureGlobal({ seed: Number(process.env.FAST_CHECK_SEED || 1) });
