import { readFileSync } from 'node:fs';
import { nullTranslator } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import { Signal } from '@lumino/signaling';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { addCommands, CommandIDs, fillMenu, fillPalette, type IParts } from './commands';
import { DEFAULTS } from './settings';
import type { IMemory, IStudy } from './wire';

vi.mock('@jupyterlab/apputils', () => ({ Dialog: {}, Notification: {}, showDialog: {} }));

const OURS = Object.values(CommandIDs).sort();

/** The commands as they are added, on parts that note what is asked of them. */
function bench() {
  const log: string[] = [];
  const note = (what: string) => () => void log.push(what);
  const options = new Map<string, CommandRegistry.ICommandOptions>();
  const commands = {
    addCommand: (id: string, option: CommandRegistry.ICommandOptions) => options.set(id, option),
    notifyCommandChanged: (id?: string) => log.push(`changed ${id ?? 'all'}`)
  } as unknown as CommandRegistry;
  const page = {
    path: null as string | null,
    editor: null as unknown,
    invoke: note('invoke'),
    accept: note('accept'),
    dismiss: note('dismiss')
  };
  const preferences = {
    current: DEFAULTS,
    changed: new Signal<object, unknown>({}),
    change: (change: object) => log.push(`set ${JSON.stringify(change)}`)
  };
  const completers = { active: undefined as unknown };
  page.dismiss = () => {
    log.push('dismiss');
    completers.active = undefined;
  };
  const snoozed = new Set<string>();
  const provider = {
    snoozed,
    declined: { connect: () => undefined },
    decline: (why: string) => log.push(`decline ${why}`),
    cancel: note('cancel'),
    dismiss: (text: string) => log.push(`not wanted: ${text}`)
  };
  const availability = {
    state: { health: null as { memory?: IMemory | null; study?: IStudy | null } | null },
    changed: new Signal<object, unknown>({})
  };
  const status = { changed: new Signal<object, unknown>({}), update: note('update') };
  addCommands(commands, {
    trans: nullTranslator.load('jupyter_turbopilot'),
    page,
    completers,
    provider,
    alternatives: { cancel: note('cancel alternatives') },
    acceptor: { acceptWord: note('word'), acceptLine: note('line') },
    preferences,
    availability,
    status,
    notice: { withdraw: note('withdraw notice') },
    openModels: note('models'),
    showStudy: note('study log')
  } as unknown as IParts);
  const run = (id: string) => void options.get(id)?.execute({});
  const is = (id: string, what: 'isEnabled' | 'isToggled' | 'isVisible') => options.get(id)?.[what]?.({});
  const label = (id: string) => (options.get(id)?.label as (args: object) => string)({});
  return { options, label, availability, page, preferences, completers, snoozed, status, log, run, is };
}

describe('the commands', () => {
  let parts: ReturnType<typeof bench>;
  beforeEach(() => void (parts = bench()));

  it('are all added, and in the palette', () => {
    expect([...parts.options.keys()].sort()).toEqual(OURS);
    const shown: string[] = [];
    fillPalette({ addItem: ({ command }: { command: string }) => shown.push(command) } as never);
    expect(shown.sort()).toEqual(OURS);
  });

  it('that the schema gives keys and menus are among them', () => {
    const named = readFileSync('schema/plugin.json', 'utf8').matchAll(/"command": "(turbopilot:[^"]+)"/g);
    const names = Array.from(named, ([, name]) => name);
    expect(names.length).toBeGreaterThan(5);
    names.forEach(name => expect(OURS).toContain(name));
  });

  it('remove the ghost text once suggestions are off, and the notice of that once they are on', () => {
    parts.preferences.changed.emit(null);
    expect(parts.log).toContain('withdraw notice');
    expect(parts.log).not.toContain('dismiss');
    parts.preferences.current = { ...DEFAULTS, enabled: false };
    parts.preferences.changed.emit(null);
    expect(parts.log).toEqual(expect.arrayContaining(['cancel', 'dismiss']));
  });

  it('switch suggestions off, and say so when the settings change', () => {
    expect(parts.is(CommandIDs.toggle, 'isToggled')).toBe(true);
    parts.run(CommandIDs.toggle);
    parts.preferences.changed.emit(null);
    parts.status.changed.emit(null);
    expect(parts.log).toEqual([
      'set {"enabled":false}',
      'withdraw notice',
      'changed all',
      `changed ${CommandIDs.status}`
    ]);
  });

  it('say how far the index of the notebooks is, and stop using it', () => {
    expect(parts.is(CommandIDs.memory, 'isEnabled')).toBe(false);
    expect(parts.label(CommandIDs.memory)).toBe('Use My Other Notebooks (no index is kept)');
    const memory = {
      building: true,
      files: 3,
      of: 12,
      paused: null,
      root: '/home/ada',
      place: '/x.db',
      trouble: null
    };
    parts.availability.state = { health: { memory } };
    parts.availability.changed.emit(null);
    expect(parts.log).toEqual([`changed ${CommandIDs.memory}`, `changed ${CommandIDs.study}`]);
    expect(parts.label(CommandIDs.memory)).toBe('Use My Other Notebooks (indexing: 3 of 12 files)');
    expect([parts.is(CommandIDs.memory, 'isEnabled'), parts.is(CommandIDs.memory, 'isToggled')]).toEqual([
      true,
      true
    ]);
    parts.run(CommandIDs.memory);
    expect(parts.log.at(-1)).toBe('set {"memory":false}');
    parts.preferences.current = { ...DEFAULTS, memory: false };
    expect(parts.is(CommandIDs.memory, 'isToggled')).toBe(false);
    parts.run(CommandIDs.memory);
    expect(parts.log.at(-1)).toBe('set {"memory":true}');
  });

  it('announce a study log first of all while it is kept, whatever the settings say', () => {
    const items: string[] = [];
    fillMenu({ addItem: ({ command }: { command: string }) => items.push(command) } as never);
    expect(items[0]).toBe(CommandIDs.study);
    expect(parts.is(CommandIDs.study, 'isVisible')).toBe(false);
    const study = { text: false, file: '/home/ada/study.jsonl', trouble: null };
    parts.availability.state = { health: { study } };
    parts.preferences.current = { ...DEFAULTS, enabled: false, memory: false, notices: false } as never;
    parts.preferences.changed.emit(null);
    expect([parts.is(CommandIDs.study, 'isVisible'), parts.is(CommandIDs.study, 'isEnabled')]).toEqual([
      true,
      true
    ]);
    expect(parts.label(CommandIDs.study)).toBe('A Study Log Is On…');
    parts.run(CommandIDs.study);
    expect(parts.log.at(-1)).toBe('study log');
    parts.availability.state = { health: { study: null } };
    expect(parts.is(CommandIDs.study, 'isVisible')).toBe(false);
  });

  it('snooze a document and wake it', () => {
    expect(parts.is(CommandIDs.snooze, 'isEnabled')).toBe(false);
    parts.page.path = 'a.ipynb';
    parts.run(CommandIDs.snooze);
    expect([parts.is(CommandIDs.snooze, 'isToggled'), parts.log]).toEqual([
      true,
      ['cancel', 'dismiss', 'withdraw notice', 'update']
    ]);
    parts.run(CommandIDs.snooze);
    expect([...parts.snoozed]).toEqual([]);
  });

  it('ask for a suggestion, or tell why not', () => {
    const end = { line: 0, column: 1 };
    const editor = (column: number) => ({
      focus: () => parts.log.push('focus'),
      getSelections: () => [{ start: { line: 0, column }, end }]
    });
    parts.run(CommandIDs.invoke);
    parts.page.editor = editor(0);
    parts.run(CommandIDs.invoke);
    parts.page.editor = editor(1);
    parts.run(CommandIDs.invoke);
    expect(parts.log).toEqual(['decline nowhere', 'focus', 'decline selection', 'focus', 'invoke']);
  });

  it('take what is shown, where anything is', () => {
    const taking = [CommandIDs.accept, CommandIDs.acceptWord, CommandIDs.acceptLine, CommandIDs.dismiss];
    expect(taking.map(id => parts.is(id, 'isEnabled'))).toEqual([false, false, false, false]);
    parts.completers.active = { current: { insertText: 'values' } };
    expect(taking.map(id => parts.is(id, 'isEnabled'))).toEqual([true, true, true, true]);
    taking.forEach(id => parts.run(id));
    const dismissed = ['dismiss', 'not wanted: values', 'cancel alternatives'];
    expect(parts.log).toEqual(['accept', 'word', 'line', ...dismissed]);
  });
});
