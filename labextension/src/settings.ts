/** The user’s settings, validated, and their store in JupyterLab. */

import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Signal } from '@lumino/signaling';
const ENGINES = ['auto', 'server', 'browser'] as const;
const STEPS = ['default', 'quiet', 'balanced', 'eager', 'always'] as const;

/** The setting *Engine*. */
export type Wanted = (typeof ENGINES)[number];

export interface ISettings {
  engine: Wanted;
  /** the URL of a list of models; empty: the site's list */
  browserModels: string;
  enabled: boolean;
  mode: 'automatic' | 'on demand';
  delay: number;
  newCells: boolean;
  lines: 'auto' | 'single' | 'multi';
  eagerness: (typeof STEPS)[number];
  maxTokens: number;
  alternatives: number;
  disabledLanguages: string[];
  prefetch: boolean;
  otherDocuments: boolean;
  notebookIndex: boolean;
  suggestFixes: boolean;
  suggestRenames: boolean;
  suggestRepeats: boolean;
  announce: boolean;
  shownNotifications: string[];
}

export const DEFAULTS: ISettings = {
  engine: 'auto',
  browserModels: '',
  enabled: true,
  mode: 'automatic',
  delay: 0,
  newCells: true,
  lines: 'auto',
  eagerness: 'default',
  maxTokens: 0,
  alternatives: 2,
  disabledLanguages: ['markdown', 'raw', 'text'],
  prefetch: true,
  otherDocuments: true,
  notebookIndex: true,
  suggestFixes: true,
  suggestRenames: true,
  suggestRepeats: true,
  announce: false,
  shownNotifications: []
};

function bounded(value: unknown, low: number, high: number, otherwise: number): number {
  return typeof value === 'number' && Number.isFinite(value)
    ? Math.min(high, Math.max(low, Math.round(value)))
    : otherwise;
}

/** Read settings that may have been edited by hand. */
export function readSettings(stored: Record<string, unknown>): ISettings {
  const { disabledLanguages: languages, shownNotifications: shown } = stored;
  return {
    engine: ENGINES.find(engine => engine === stored.engine) ?? DEFAULTS.engine,
    browserModels: typeof stored.browserModels === 'string' ? stored.browserModels.trim() : '',
    enabled: stored.enabled !== false,
    mode: stored.mode === 'on demand' ? 'on demand' : 'automatic',
    delay: bounded(stored.delay, 0, 5000, DEFAULTS.delay),
    newCells: stored.newCells !== false,
    lines: stored.lines === 'single' || stored.lines === 'multi' ? stored.lines : 'auto',
    eagerness: STEPS.find(step => step === stored.eagerness) ?? DEFAULTS.eagerness,
    maxTokens: bounded(stored.maxTokens, 0, 2048, DEFAULTS.maxTokens),
    alternatives: bounded(stored.alternatives, 0, 4, DEFAULTS.alternatives),
    disabledLanguages: Array.isArray(languages)
      ? languages.map(language => String(language).toLowerCase())
      : DEFAULTS.disabledLanguages,
    prefetch: stored.prefetch !== false,
    otherDocuments: stored.otherDocuments !== false,
    notebookIndex: stored.notebookIndex !== false,
    suggestFixes: stored.suggestFixes !== false,
    suggestRenames: stored.suggestRenames !== false,
    suggestRepeats: stored.suggestRepeats !== false,
    announce: stored.announce === true,
    shownNotifications: Array.isArray(shown) ? shown.map(String) : DEFAULTS.shownNotifications
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

  /** Store that a notification is shown; return whether it has not been shown before, in any browser. */
  noteShown(notification: string): boolean {
    const { shownNotifications } = this.current;
    if (shownNotifications.includes(notification)) {
      return false;
    }
    // If it cannot be stored, it is shown again in another page.
    this.change({ shownNotifications: [...shownNotifications, notification] }).catch(() => undefined);
    return true;
  }

  private _set(settings: ISettings): void {
    this.current = settings;
    this.changed.emit(settings);
  }

  private _stored: ISettingRegistry.ISettings | null = null;
}
