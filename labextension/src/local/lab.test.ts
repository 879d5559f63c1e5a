import { python } from '@codemirror/lang-python';
import { LanguageSupport, StreamLanguage } from '@codemirror/language';
import { shell } from '@codemirror/legacy-modes/mode/shell';
import type { IEditorLanguage } from '@jupyterlab/codemirror';
import { describe, expect, it } from 'vitest';
import { parsersOf } from './lab';

/** A registry like JupyterLab's, which loads languages on demand. */
class Languages {
  loads = 0;
  offline = false;

  constructor(private readonly _languages: Record<string, LanguageSupport>) {}

  findByName(name: string): IEditorLanguage | null {
    return name in this._languages ? { name, mime: '', support: this._loaded.get(name) } : null;
  }

  async getLanguage(name: string): Promise<IEditorLanguage | null> {
    this.loads++;
    await Promise.resolve();
    if (this.offline) {
      throw new Error('no network');
    }
    this._loaded.set(name, this._languages[name]);
    return this.findByName(name);
  }

  private readonly _loaded = new Map<string, LanguageSupport>();
}

const turn = () => new Promise(resolve => setTimeout(resolve));

describe('the parser of a language', () => {
  it('is there once the page has loaded it, which is asked for once', async () => {
    const languages = new Languages({ python: python() });
    const parserOf = parsersOf(languages);
    expect([parserOf('python'), parserOf('python')]).toEqual([null, null]);
    await turn();
    expect(parserOf('python')?.parse('a').type.name).toBe('Script');
    expect(languages.loads).toBe(1);
  });

  it('is asked for again where it could not be loaded', async () => {
    const languages = new Languages({ python: python() });
    languages.offline = true;
    const parserOf = parsersOf(languages);
    parserOf('python');
    await turn();
    languages.offline = false;
    parserOf('python');
    await turn();
    expect(parserOf('python')).not.toBeNull();
  });

  it('is null if it has no error nodes or does not exist', async () => {
    const bash = new LanguageSupport(StreamLanguage.define(shell));
    const parserOf = parsersOf(new Languages({ bash }));
    for (const name of ['bash', 'klingon']) {
      parserOf(name);
      await turn();
      expect(parserOf(name)).toBeNull();
    }
  });
});
