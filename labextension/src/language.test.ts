import { describe, expect, it } from 'vitest';
import { cellLanguage, isPrivatePath, languageOf } from './language';

describe('the language', () => {
  it.each([
    ['text/x-ipython', 'python'],
    ['text/x-python', 'python'],
    ['text/x-ipythongfm', 'markdown'],
    ['text/x-julia', 'julia'],
    ['text/x-rsrc', 'r'],
    ['application/javascript', 'javascript'],
    ['text/plain; charset=utf-8', 'text']
  ])('of %s is %s', (mime, language) => {
    expect(languageOf(mime)).toBe(language);
  });

  it.each([
    ['x = 1', 'python'],
    ['%%time\nx', 'python'],
    ['%%sql\nselect', 'sql'],
    ['%%bash\nls', 'bash'],
    ['%%sh\nls', 'bash'],
    ['%%html\n<b>', 'html'],
    ['%%unheard\nx', 'unheard']
  ])('of %s is its own', (source, language) => {
    expect(cellLanguage(source, 'python')).toBe(language);
  });
});

describe('a credential file', () => {
  it.each(['.env', 'a/.env.local', 'id_rsa', 'x/server.pem', '.ssh/config', 'C:\\u\\.aws\\credentials'])(
    '%s is known',
    path => {
      expect(isPrivatePath(path)).toBe(true);
    }
  );

  it.each(['', 'a.ipynb', 'environment.py', 'keyboard.py', 'src/secretary.py'])('%s is none', path => {
    expect(isPrivatePath(path)).toBe(false);
  });
});
