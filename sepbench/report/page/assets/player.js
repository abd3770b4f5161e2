"use strict";
// Plays several recordings of the same seconds at once and lets one of them be heard. All start at
// one time of one clock and never stop while another is chosen, so they cannot drift apart.

const RAMP = 0.015; // Seconds in which one source gives way to another; a step would click.
const SEAM = 0.008; // Seconds by which a loop is faded out and in where it jumps back.

const decibelsToGain = (decibels) => 10 ** (decibels / 20);

// Start `buffers` in `context`, all at `when` and from `offset` seconds; only `heard` is audible.
function startVoices(context, destination, buffers, { when, offset, loop, heard, levels }) {
  const voices = {};
  for (const [name, buffer] of Object.entries(buffers)) {
    const node = context.createBufferSource();
    const gain = context.createGain();
    node.buffer = buffer;
    if (loop) Object.assign(node, { loop: true, loopStart: loop[0], loopEnd: loop[1] });
    gain.gain.setValueAtTime(0, when);
    if (name === heard) gain.gain.linearRampToValueAtTime(levels[name], when + RAMP);
    node.connect(gain).connect(destination);
    node.start(when, offset);
    voices[name] = { node, gain, target: name === heard ? levels[name] : 0, from: 0, since: when };
  }
  return voices;
}

// The value of a ramp that was set by `fade` or `startVoices`; the parameter itself may lag.
function rampValue(voice, time) {
  const share = Math.min(1, Math.max(0, (time - voice.since) / RAMP));
  return voice.from + (voice.target - voice.from) * share;
}

function fade(voice, target, when) {
  const value = rampValue(voice, when);
  voice.gain.gain.cancelScheduledValues(when);
  voice.gain.gain.setValueAtTime(value, when);
  voice.gain.gain.linearRampToValueAtTime(target, when + RAMP);
  Object.assign(voice, { from: value, since: when, target });
}

// Let `heard` be heard from `when` on, all others not.
function hear(voices, heard, levels, when) {
  for (const [name, voice] of Object.entries(voices)) {
    const target = name === heard ? levels[name] : 0;
    if (voice.target !== target) fade(voice, target, when);
  }
}

// Fade out and in around a jump of the loop.
function dip(parameter, seam) {
  parameter.setValueAtTime(1, seam - SEAM);
  parameter.linearRampToValueAtTime(0, seam);
  parameter.linearRampToValueAtTime(1, seam + SEAM);
}

class Player {
  constructor(rate) {
    this.context = new AudioContext({ sampleRate: rate });
    this.master = this.context.createGain();
    this.master.connect(this.context.destination);
    this.buffers = {};
    this.gains = {};
    this.voices = null;
    this.heard = null;
    this.matched = true;
    this.loop = null;
    this.offset = 0;
    this.startedAt = 0;
  }

  get duration() {
    return Math.min(...Object.values(this.buffers).map((buffer) => buffer.duration));
  }

  get playing() {
    return this.voices !== null;
  }

  // Levels that match the loudness of all sources, or leave them as they are.
  get levels() {
    return Object.fromEntries(
      Object.keys(this.buffers).map((name) => [name, this.matched ? decibelsToGain(this.gains[name]) : 1]),
    );
  }

  load(buffers, gains) {
    this.stop();
    this.buffers = buffers;
    this.gains = gains;
    this.heard = Object.keys(buffers)[0];
    this.offset = 0;
    this.loop = null;
  }

  position(now = this.context.currentTime) {
    if (!this.playing) return this.offset;
    const time = this.offset + Math.max(0, now - this.startedAt);
    if (!this.loop || time < this.loop[1]) return Math.min(time, this.duration);
    const [start, end] = this.loop;
    return start + ((time - start) % (end - start));
  }

  async play() {
    if (this.playing) return;
    await this.context.resume();
    if (!this.loop && this.offset >= this.duration - 0.01) this.offset = 0;
    if (this.loop && (this.offset < this.loop[0] || this.offset >= this.loop[1])) this.offset = this.loop[0];
    const when = this.context.currentTime + 0.02;
    this.startedAt = when;
    this.master.gain.cancelScheduledValues(0);
    this.master.gain.setValueAtTime(1, when);
    this.voices = startVoices(this.context, this.master, this.buffers, {
      when,
      offset: this.offset,
      loop: this.loop,
      heard: this.heard,
      levels: this.levels,
    });
    this.nextSeam = this.loop ? when + this.loop[1] - this.offset : Infinity;
    this.timer = setInterval(() => this.tick(), 50);
    this.tick();
  }

  // Schedule the fades of loop seams a little ahead, and stop at the end.
  tick() {
    const now = this.context.currentTime;
    while (this.loop && this.nextSeam < now + 0.3) {
      if (this.nextSeam - SEAM > now) dip(this.master.gain, this.nextSeam);
      this.nextSeam += this.loop[1] - this.loop[0];
    }
    if (!this.loop && this.position() >= this.duration) this.stop();
  }

  stop() {
    if (!this.playing) return;
    this.offset = this.position();
    const now = this.context.currentTime;
    for (const voice of Object.values(this.voices)) {
      fade(voice, 0, now);
      voice.node.stop(now + RAMP);
    }
    clearInterval(this.timer);
    this.voices = null;
  }

  // Do something that needs the sources to be started again, and go on playing if that was so.
  async restarted(change) {
    const playing = this.playing;
    this.stop();
    change();
    if (playing) await this.play();
  }

  seek(seconds) {
    return this.restarted(() => {
      this.offset = Math.min(Math.max(0, seconds), this.duration - 0.001);
    });
  }

  setLoop(loop) {
    return this.restarted(() => {
      this.loop = loop;
    });
  }

  select(name) {
    this.heard = name;
    if (this.playing) hear(this.voices, name, this.levels, this.context.currentTime);
  }

  setMatched(matched) {
    this.matched = matched;
    if (this.playing) hear(this.voices, this.heard, this.levels, this.context.currentTime);
  }
}
