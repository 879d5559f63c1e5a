/** How the comments of a language begin. Which language a cell has: `../language`. Pure. */

const COMMENTS = new Set(['python', 'r', 'julia', 'bash', 'ruby', 'perl', 'cython']);

/** What starts a comment. */
export function commentMark(language: string): string {
  return COMMENTS.has(language) ? '#' : '//';
}
