/** Addresses of files: relative ones, and how they are called in a sentence. Pure. */

/** The notifications of JupyterLab show 140 characters. */
const LONGEST = 32;

/** An address relative to another one; empty where it is none. */
export function absolute(url: string, base: string): string {
  try {
    return new URL(url, base).href;
  } catch {
    return '';
  }
}

/** The name of the file at an address, shortened to what fits a sentence. */
export function fileName(url: string): string {
  const name = /[^/]*$/.exec(url.replace(/[?#].*$/, '').replace(/\/+$/, ''))?.[0] ?? '';
  const characters = Array.from(decoded(name));
  return characters.length > LONGEST ? `${characters.slice(0, LONGEST - 1).join('')}…` : characters.join('');
}

/** Whether what came is a page of HTML, such as a form to sign in. No model and no list begins so. */
export function isWebPage(beginning: string): boolean {
  return /^[\s\uFEFF]*</.test(beginning);
}

/** Say what to do about a file that comes with a status that is none of success, or without content. */
export function remedyFor(status: number): string {
  if (status < 300) {
    return 'It came without content: the owner of the site has to put it there.';
  }
  if (isAbsent(status)) {
    return 'The owner of the site has to put it there.';
  }
  return status >= 500 || status === 408 || status === 429
    ? 'Try again later, or reload the page.'
    : 'Is there a sign-in? If not, the owner of the site has to fix it.';
}

/** Whether a status says that there is no such file. */
export function isAbsent(status: number): boolean {
  return status === 404 || status === 410;
}

export function webPageInPlaceOf(name: string): string {
  return `A web page comes in place of ${name}. Is there a sign-in? If not, the owner of the site has to fix it.`;
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
