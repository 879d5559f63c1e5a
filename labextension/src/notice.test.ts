import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const shown = vi.hoisted(() => new Map<string, string>());

vi.mock('@jupyterlab/apputils', () => {
  let last = 0;
  const show = (message: string): string => {
    const id = String(++last);
    shown.set(id, message);
    return id;
  };
  return {
    Notification: {
      manager: { has: (id: string) => shown.has(id) },
      info: show,
      warning: show,
      update: () => true,
      dismiss: (id: string) => shown.delete(id)
    }
  };
});

import { Notice } from './notice';

describe('what is said until the next key', () => {
  let notice: Notice;

  beforeEach(() => {
    shown.clear();
    notice = new Notice();
    vi.stubGlobal('document', new EventTarget());
  });

  afterEach(() => vi.unstubAllGlobals());

  const press = (key: string) => document.dispatchEvent(Object.assign(new Event('keydown'), { key }));
  const said = () => [...shown.values()];

  it('is over with the next key', () => {
    notice.untilKey('nothing');
    expect(said()).toEqual(['nothing']);
    press('a');
    expect(said()).toEqual([]);
  });

  it.each(['Alt', 'Shift', 'Control', 'Meta', 'AltGraph'])('is not over with %s alone', key => {
    notice.untilKey('nothing');
    press(key);
    expect(said()).toEqual(['nothing']);
    press('\\');
    expect(said()).toEqual([]);
  });

  it('is over once it is no longer true', () => {
    notice.brief('switched off');
    notice.withdraw();
    expect(said()).toEqual([]);
  });

  it('is not withdrawn where it has become a warning', () => {
    notice.brief('gone');
    notice.warn('gone');
    notice.withdraw();
    expect(said()).toEqual(['gone']);
  });

  it('takes nothing away that was said after it', () => {
    notice.untilKey('nothing');
    notice.brief('loading');
    press('a');
    expect(said()).toEqual(['loading']);
  });

  it('stays where it has become a warning', () => {
    notice.untilKey('gone');
    notice.warn('gone');
    press('a');
    expect(said()).toEqual(['gone']);
  });
});
