/** The user’s settings, and their store in JupyterLab, which validates them. */

import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Signal } from '@lumino/signaling';

/** The setting *Engine*. */
export type Wanted = 'auto' | 'server' | 'browser';

/** The defaults of the schema. */
export const DEFAULTS = {
  engine: 'auto' as Wanted,
  enabled: true,
  mode: 'automatic' as 'automatic' | 'on demand',
  delay: 0,
  newCells: true,
  lines: 'auto' as 'auto' | 'single' | 'multi',
  eagerness: 'default' as 'default' | 'quiet' | 'balanced' | 'eager' | 'always',
  alternatives: 2,
  disabledLanguages: ['markdown', 'raw', 'text'],
  otherDocuments: true,
  notebookIndex: true,
  suggestFixes: true,
  suggestRenames: true,
  suggestRepeats: true,
  announce: false
};

export type ISettings = typeof DEFAULTS;

export class Preferences {
  current = DEFAULTS;

  readonly changed = new Signal<this, ISettings>(this);

  /** Load the settings of a plugin, and follow changes. */
  async load(registry: ISettingRegistry, plugin: string): Promise<void> {
    const stored = (this._stored = await registry.load(plugin));
    const read = (): void => {
      const settings = { ...DEFAULTS, ...(stored.composite as Partial<ISettings>) };
      // The schema allows fractions: JupyterLab would drop all settings of a file with one that it refuses.
      const [delay, alternatives] = [settings.delay, settings.alternatives].map(Math.round);
      this._set({ ...settings, delay, alternatives });
    };
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
