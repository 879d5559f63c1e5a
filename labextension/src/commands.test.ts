import { readFileSync } from 'node:fs';
import { nullTranslator } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import { Signal } from '@lumino/signaling';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { addCommands, CommandIDs, fillPalette, type IParts } from './commands';
import { DEFAULTS } from './settings';

const copied: string[] = [];
vi.mock('@jupyterlab/apputils', () => ({
  Clipboard: { copyToSystem: (text: string) => copied.push(text) },
  Dialog: {},
  Notification: {},
  showDialog: {}
}));

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
    path: null,
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
  const provider = {
    snoozed: new Set<string>(),
    declined: { connect: () => undefined, emit: (reason: string) => log.push(`decline ${reason}`) },
    cancel: note('cancel'),
    dismiss: (text: string) => log.push(`not wanted: ${text}`)
  };
  const availability = { state: { health: null as unknown }, changed: new Signal<object, unknown>({}) };
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
    notice: { withdraw: note('withdraw notice') }
  } as unknown as IParts);
  const run = (id: string) => void options.get(id)?.execute({});
  const is = (id: string, what: 'isEnabled' | 'isToggled') => options.get(id)?.[what]?.({});
  return { options, page, preferences, completers, availability, status, log, run, is };
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

  it('copy the command that installs what is missing', () => {
    expect(parts.is(CommandIDs.copyInstallCommand, 'isEnabled')).toBe(false);
    parts.availability.state.health = { command: 'pip install it' };
    expect(parts.is(CommandIDs.copyInstallCommand, 'isEnabled')).toBe(true);
    parts.run(CommandIDs.copyInstallCommand);
    expect(copied).toEqual(['pip install it']);
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
