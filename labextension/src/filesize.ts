/** Format sizes in bytes, as the command line does. Pure. */

/** Format a size: at least 0.1 MB; with `~` if it is an estimate; empty if it is unknown. */
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
