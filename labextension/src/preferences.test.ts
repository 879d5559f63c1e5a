import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { describe, expect, it } from 'vitest';
import { Preferences } from './preferences';

/** A registry that holds these settings, and `change` for what somebody does in the settings editor. */
function registry(composite: Record<string, unknown>) {
  let changed: () => void = () => undefined;
  const settings = {
    composite,
    changed: { connect: (slot: () => void) => (changed = slot) },
    set: (name: string, value: unknown) => {
      composite[name] = value;
      changed();
      return Promise.resolve();
    }
  };
  return {
    load: () => Promise.resolve(settings),
    change: (name: string, value: unknown) => void settings.set(name, value)
  };
}

describe('the preferences', () => {
  it('follow what is stored', async () => {
    const stored = registry({ delay: 40 });
    const preferences = new Preferences();
    const delays: number[] = [];
    preferences.changed.connect((_, { delay }) => delays.push(delay));
    await preferences.load(stored as unknown as ISettingRegistry, 'plugin');
    stored.change('delay', 90);
    expect([delays, preferences.current.delay]).toEqual([[40, 90], 90]);
  });

  it('store whether suggestions are on', async () => {
    const composite = {};
    const preferences = new Preferences();
    await preferences.load(registry(composite) as unknown as ISettingRegistry, 'plugin');
    await preferences.enable(false);
    expect([composite, preferences.current.enabled]).toEqual([{ enabled: false }, false]);
  });

  it('can be switched where nothing can be stored', async () => {
    const preferences = new Preferences();
    await preferences.enable(false);
    expect(preferences.current.enabled).toBe(false);
  });
});
