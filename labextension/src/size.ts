/** Sizes in bytes as a person says them, by the same rule as on the command line. Pure. */

/** A size: a small one with one decimal, and never as nothing; `~` where nobody counted; '' where it is not known. */
export function describeSize(bytes: number | null | undefined, counted = true): string {
  if (!bytes) {
    return '';
  }
  const whole = Math.round(bytes / 1e6);
  const text =
    whole < 10
      ? `${Math.max(1, Math.round((10 * bytes) / 1e6)) / 10} MB`
      : whole < 1000
        ? `${whole} MB`
        : `${(Math.round(bytes / 1e8) / 10).toFixed(1)} GB`;
  return counted ? text : `~${text}`;
}
