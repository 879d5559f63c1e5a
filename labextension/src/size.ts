/** Sizes in bytes as a person says them. Pure. */

/** A size: a small one with one decimal, and never as nothing; `~` where nobody counted; '' where it is not known. */
export function describeSize(bytes: number | null | undefined, counted = true): string {
  if (!bytes) {
    return '';
  }
  const text =
    bytes < 1e7
      ? `${Math.max(0.1, bytes / 1e6).toFixed(1).replace(/\.0$/, '')} MB`
      : bytes < 1e9
        ? `${Math.round(bytes / 1e6)} MB`
        : `${(bytes / 1e9).toFixed(1)} GB`;
  return counted ? text : `~${text}`;
}
