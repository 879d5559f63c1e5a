/** The person's settings as JupyterLab stores them. */

import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { type ISignal, Signal } from '@lumino/signaling';
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

  async enable(enabled: boolean): Promise<void> {
    this._set({ ...this._current, enabled });
    await this._stored?.set('enabled', enabled);
  }

  private _set(settings: ISettings): void {
    this._current = settings;
    this._changed.emit(settings);
  }

  private readonly _changed = new Signal<this, ISettings>(this);
  private _current = DEFAULTS;
  private _stored: ISettingRegistry.ISettings | null = null;
}
