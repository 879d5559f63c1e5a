/** The user’s settings, validated, and their store in JupyterLab. */

import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Signal } from '@lumino/signaling';
const ENGINES = ['auto', 'server', 'browser'] as const;
const STEPS = ['default', 'quiet', 'balanced', 'eager', 'always'] as const;

/** The setting *Engine*. */
export type Wanted = (typeof ENGINES)[number];

export interface ISettings {
  engine: Wanted;
  enabled: boolean;
  mode: 'automatic' | 'on demand';
  delay: number;
  newCells: boolean;
  lines: 'auto' | 'single' | 'multi';
  eagerness: (typeof STEPS)[number];
  alternatives: number;
  disabledLanguages: string[];
  otherDocuments: boolean;
  notebookIndex: boolean;
  suggestFixes: boolean;
  suggestRenames: boolean;
  suggestRepeats: boolean;
  announce: boolean;
}

export const DEFAULTS: ISettings = {
  engine: 'auto',
  enabled: true,
  mode: 'automatic',
  delay: 0,
  newCells: true,
  lines: 'auto',
  eagerness: 'default',
  alternatives: 2,
  disabledLanguages: ['markdown', 'raw', 'text'],
  otherDocuments: true,
  notebookIndex: true,
  suggestFixes: true,
  suggestRenames: true,
  suggestRepeats: true,
  announce: false
};

function bounded(value: unknown, low: number, high: number, otherwise: number): number {
  return typeof value === 'number' && Number.isFinite(value)
    ? Math.min(high, Math.max(low, Math.round(value)))
    : otherwise;
}

/** Read settings that may have been edited by hand. */
export function readSettings(stored: Record<string, unknown>): ISettings {
  const { disabledLanguages: languages } = stored;
  return {
    engine: ENGINES.find(engine => engine === stored.engine) ?? DEFAULTS.engine,
    enabled: stored.enabled !== false,
    mode: stored.mode === 'on demand' ? 'on demand' : 'automatic',
    delay: bounded(stored.delay, 0, 5000, DEFAULTS.delay),
    newCells: stored.newCells !== false,
    lines: stored.lines === 'single' || stored.lines === 'multi' ? stored.lines : 'auto',
    eagerness: STEPS.find(step => step === stored.eagerness) ?? DEFAULTS.eagerness,
    alternatives: bounded(stored.alternatives, 0, 4, DEFAULTS.alternatives),
    disabledLanguages: Array.isArray(languages)
      ? languages.map(language => String(language).toLowerCase())
      : DEFAULTS.disabledLanguages,
    otherDocuments: stored.otherDocuments !== false,
    notebookIndex: stored.notebookIndex !== false,
    suggestFixes: stored.suggestFixes !== false,
    suggestRenames: stored.suggestRenames !== false,
    suggestRepeats: stored.suggestRepeats !== false,
    announce: stored.announce === true
  };
}

export class Preferences {
  current = DEFAULTS;

  readonly changed = new Signal<this, ISettings>(this);

  /** Load the settings of a plugin, and follow changes. */
  async load(registry: ISettingRegistry, plugin: string): Promise<void> {
    const stored = (this._stored = await registry.load(plugin));
    const read = (): void => this._set(readSettings(stored.composite));
    stored.changed.connect(read);
    read();
  }

  async change(change: Partial<ISettings>): Promise<void> {
    this._set({ ...this.current, ...change });
    for (const [name, value] of Object.entries(change)) {
      await this._stored?.set(name, value);
    }
  }

  private _set(settings: ISettings): void {
    this.current = settings;
    this.changed.emit(settings);
  }

  private _stored: ISettingRegistry.ISettings | null = null;
}
