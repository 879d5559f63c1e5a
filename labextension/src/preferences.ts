/** The person's settings as JupyterLab stores them. */

import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { type ISignal, Signal } from '@lumino/signaling';
import type { Wanted } from './engine';
import { DEFAULTS, type ISettings, readSettings } from './settings';

export class Preferences {
  get current(): ISettings {
    return this._current;
  }

  get changed(): ISignal<this, ISettings> {
    return this._changed;
  }

  /** Read what is stored for a plugin, and follow it. */
  async load(registry: ISettingRegistry, plugin: string): Promise<void> {
    const stored = (this._stored = await registry.load(plugin));
    const read = (): void => this._set(readSettings(stored.composite));
    stored.changed.connect(read);
    read();
  }

  enable(enabled: boolean): Promise<void> {
    return this._change({ enabled });
  }

  useMemory(memory: boolean): Promise<void> {
    return this._change({ memory });
  }

  useEngine(engine: Wanted): Promise<void> {
    return this._change({ engine });
  }

  private async _change(change: Partial<ISettings>): Promise<void> {
    this._set({ ...this._current, ...change });
    for (const [name, value] of Object.entries(change)) {
      await this._stored?.set(name, value);
    }
  }

  private _set(settings: ISettings): void {
    this._current = settings;
    this._changed.emit(settings);
  }

  private readonly _changed = new Signal<this, ISettings>(this);
  private _current = DEFAULTS;
  private _stored: ISettingRegistry.ISettings | null = null;
}
