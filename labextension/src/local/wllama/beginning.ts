/** What a text may begin with: as a grammar for llama.cpp, and as a check of what comes. Pure. */

/** Beginnings with more characters than this are only checked: each takes its time in a grammar. */
const MOST = 20000;

export interface IBeginning {
  /** what the text begins with in any case */
  typed: string;
  /** what follows is one of these; none: anything */
  ways: readonly string[];
  /** a character that does not follow; '': any may */
  banned: string;
}

/** Return a grammar for texts with a beginning, behind which anything may follow; '': any text will do. */
export function grammarOf({ typed, ways, banned }: IBeginning): string {
  const held = ways.reduce((total, way) => total + way.length, 0) <= MOST ? ways : [];
  if (!typed && held.length === 0 && !banned) {
    return '';
  }
  const next =
    held.length > 0 && !held.includes('')
      ? oneOf(held.filter(way => !banned || !way.startsWith(banned)).map(way => Array.from(way)))
      : banned
        ? `([^\\x00${sign(banned)}] rest)?`
        : 'rest';
  const any = next.endsWith('rest') || next.endsWith('?') ? next : `${next} rest`;
  return `root ::= ${[quoted(typed), any].filter(Boolean).join(' ')}\nrest ::= [^\\x00]*\n`;
}

/** Tell whether a text, as far as it goes, is one that may be written. */
export function agrees(text: string, ways: readonly string[]): boolean {
  return ways.length === 0 || ways.some(way => way.startsWith(text) || text.startsWith(way));
}

/** The alternatives as a tree: where many share a beginning, it is followed once. */
function oneOf(ways: readonly (readonly string[])[]): string {
  const by = new Map<string, string[][]>();
  for (const [first, ...rest] of ways) {
    by.set(first, [...(by.get(first) ?? []), rest]);
  }
  const branches = [...by].map(([first, rests]) => {
    let text = first;
    let left = rests;
    while (left[0].length > 0 && left.every(rest => rest[0] === left[0][0])) {
      text += left[0][0];
      left = left.map(rest => rest.slice(1));
    }
    // Behind a complete way anything may follow, so longer ones are no longer of interest.
    return left.some(rest => rest.length === 0) ? quoted(text) : `${quoted(text)} ${oneOf(left)}`;
  });
  return branches.length > 0 ? `(${branches.join(' | ')})` : '"\\x00"';
}

function quoted(text: string): string {
  return text && `"${Array.from(text, sign).join('')}"`;
}

/** A character as a grammar has it. */
function sign(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return /^[A-Za-z0-9_ ]$/.test(character) ? character : `\\U${code.toString(16).padStart(8, '0')}`;
}
