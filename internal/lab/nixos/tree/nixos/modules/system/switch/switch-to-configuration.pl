# Makes a running host follow a new system: the lab's switch-to-configuration.
#
# The actions, their order, which units are touched and how, the lines printed
# and the exit codes are NixOS's. The wrapper in the system's bin folder sets
# OUT, TOPLEVEL, DISTRO_ID, INSTALL_BOOTLOADER, PRE_SWITCH_CHECK and SYSTEMD.
use strict;
use warnings;
use Fcntl qw(:flock);
use Units qw(slurp real parse_unit drop_ins flag_of compare_units template_of read_fstab);

# A reader of our output that went away must not stop us half way.
$SIG{PIPE} = 'IGNORE';
$| = 1;
select((select(STDERR), $| = 1)[0]);

my $out = $ENV{TOPLEVEL} // die "TOPLEVEL is not set\n";
my $systemd = $ENV{SYSTEMD} // die "SYSTEMD is not set\n";
my $systemctl = "$systemd/bin/systemctl";
my $old_units = "/etc/systemd/system";
my $new_units = "$out/etc/systemd/system";
my $run = "/run/nixos";
my $action = shift @ARGV // '';

sub say_line { print STDERR "$_[0]\n"; }
sub finish { my ($code, $text) = @_; say_line($text) if defined $text; exit $code; }

if (@ARGV || $action !~ /^(?:switch|boot|test|dry-activate|check)$/) {
    finish(1, <<"END");
Usage: $out/bin/switch-to-configuration [check|switch|boot|test|dry-activate]

check:        run pre-switch checks and exit
switch:       make the configuration the boot default and activate now
boot:         make the configuration the boot default
test:         activate the configuration, but don't make it the boot default
dry-activate: show what would be done if this configuration were activated
END
}
my $dry = $action eq 'dry-activate';
$ENV{NIXOS_ACTION} = $action;

sub is_nixos {
    return 1 if -e "/etc/NIXOS";
    my $release = slurp("/etc/os-release") // '';
    my $id = $ENV{DISTRO_ID} // 'nixos';
    return $release =~ /^ID="?\Q$id\E"?$/m;
}
finish(1, "This program must be run as root.") if $> != 0;
finish(1, "This is not a NixOS installation!") unless is_nixos();

mkdir $run, 0755;
open(my $lock, '>>', "$run/switch-to-configuration.lock") or finish(1, "Could not open the lock: $!");
flock($lock, LOCK_EX | LOCK_NB) or finish(11, "Could not acquire lock");

# ---- before anything is touched ---------------------------------------------

if (($ENV{NIXOS_NO_CHECK} // '') ne '1') {
    if (system($ENV{PRE_SWITCH_CHECK}, $out, $action) != 0) { finish(1, "Pre-switch checks failed"); }
}
exit 0 if $action eq 'check';

if ($action eq 'switch' || $action eq 'boot') {
    if (system($ENV{INSTALL_BOOTLOADER}, $out) != 0) { finish(1, "Failed to install bootloader"); }
}
system("sync", "-f", "/nix/store") if ($ENV{NIXOS_NO_SYNC} // '') ne '1' && !$dry;
exit 0 if $action eq 'boot';

my $interface = slurp("/run/current-system/init-interface-version");
my $new_interface = slurp("$out/init-interface-version") // finish(1, "$out has no init-interface-version");
if (defined $interface && $interface ne $new_interface) {
    finish(100, "Warning: the new NixOS configuration has an 'init' that is incompatible with the\n"
        . "current configuration. The new configuration won't take effect until you reboot the system.");
}

# ---- what runs --------------------------------------------------------------

# { name => { ActiveState, SubState } } of all loaded units
sub loaded_units {
    my %units;
    open(my $in, '-|', $systemctl, 'list-units', '--all', '--full', '--plain', '--no-legend', '--no-pager')
        or finish(1, "cannot run systemctl: $!");
    while (my $line = <$in>) {
        my @fields = split ' ', $line;
        shift @fields if @fields && $fields[0] !~ /\./;    # the mark of a failed unit
        next if @fields < 4;
        $units{ $fields[0] } = { ActiveState => $fields[2], SubState => $fields[3] };
    }
    close $in;
    finish(1, "systemctl does not answer") unless %units;
    return \%units;
}
# { name => { property => value } } of these units; asking for all would take long
sub details {
    my ($properties, @names) = @_;
    return {} unless @names;
    open(my $in, '-|', $systemctl, 'show', '--no-pager', "--property=Id,$properties", '--', @names)
        or finish(1, "cannot run systemctl: $!");
    my (%units, %unit);
    my $keep = sub { $units{ $unit{Id} } = {%unit} if defined $unit{Id}; %unit = (); };
    while (my $line = <$in>) {
        chomp $line;
        if ($line eq '') { $keep->(); next; }
        my ($key, $value) = split /=/, $line, 2;
        $unit{$key} = $value;
    }
    $keep->();
    close $in;
    return \%units;
}
sub is_active { my ($unit) = @_; return $unit && $unit->{ActiveState} =~ /^(?:active|activating|reloading|refreshing)$/; }

my $before = loaded_units();

# ---- the plan ---------------------------------------------------------------

my (%stop, %skip, %start, %restart, %reload, %hidden);

sub list_file { my ($name) = @_; return "$run/$name"; }
sub read_list { my ($file) = @_; return grep { $_ ne '' } split /\n/, slurp($file) // ''; }
sub record {
    my ($file, @names) = @_;
    return if $dry || !@names;
    open(my $handle, '>>', $file) or return;
    print {$handle} "$_\n" for @names;
    close $handle;
}
$start{$_} = 1 for read_list(list_file('start-list'));
$restart{$_} = 1 for read_list(list_file('restart-list'));
$reload{$_} = 1 for read_list(list_file('reload-list'));

# What a changed unit needs. $requested: an activation script asks for it.
sub plan_modified {
    my ($name, $new, $new_base, $requested) = @_;
    return if $name =~ /^(?:sysinit|basic|multi-user|graphical)\.target$/ || $name =~ /\.(?:path|slice|socket)$/;
    if ($name =~ /\.mount$/) {
        if ($name eq '-.mount' || $name eq 'nix.mount') { $reload{$name} = 1; }
        else { $restart{$name} = 1; }
        return;
    }
    if (flag_of($new, 'Service', 'X-ReloadIfChanged', 0) && !$stop{$name} && !$restart{$name}) {
        $reload{$name} = 1;
    }
    elsif (!flag_of($new, 'Service', 'X-RestartIfChanged', 1)
        || flag_of($new, 'Unit', 'RefuseManualStop', 0)
        || flag_of($new, 'Unit', 'X-OnlyManualStart', 0)) {
        $skip{$name} = 1;
    }
    elsif (!flag_of($new, 'Service', 'X-StopIfChanged', 1) || $name !~ /\.service$/ || $requested) {
        $restart{$name} = 1;
        delete $reload{$name};
    }
    else {
        my $socket_activated = 0;
        my @sockets = map { split } @{ $new->{Service}{Sockets} // [] };
        if (!@sockets) { (my $base = $name) =~ s/(?:@.*)?\.service$//; @sockets = ("$base.socket"); }
        for my $socket (@sockets) {
            my $exists = -e "$new_units/$socket";
            if (is_active($before->{$socket})) {
                $stop{$socket} = 1;
                if ($exists) { $start{$socket} = 1; $socket_activated = 1; }
            }
            elsif ($exists) { $socket_activated = 1; }
        }
        $socket_activated = 0 if flag_of($new, 'Service', 'X-NotSocketActivated', 0);
        $stop{$name} = 1;
        $start{$name} = 1 unless $socket_activated;
        delete $reload{$name};
        delete $restart{$name};
    }
}

# Running units that the old system has something to say about.
sub known_to_old {
    my ($name) = @_;
    my $template = template_of($name);
    return -e "$old_units/$name" || defined $template && (-e "$old_units/$template" || -d "$old_units/$name.d");
}
my @running = grep { $before->{$_}{ActiveState} =~ /^(?:active|activating)$/ && known_to_old($_) } sort keys %$before;
my $place = details('FragmentPath,Following', @running);

for my $name (@running) {
    next if ($place->{$name}{Following} // '') ne '';
    next unless ($place->{$name}{FragmentPath} // '') =~ m{^/etc/systemd/system/};

    my ($old_file, $new_file) = ("$old_units/$name", "$new_units/$name");
    my $template = template_of($name);
    my $from_template = 0;
    if (defined $template && !-e $old_file && !-e $new_file && !-l $new_file) {
        ($old_file, $new_file) = ("$old_units/$template", "$new_units/$template");
        $from_template = 1;
    }
    my @old_drop_ins = drop_ins($old_units, $name);
    my @new_drop_ins = drop_ins($new_units, $name);
    my $only_drop_ins = $from_template && !-e $old_file && @old_drop_ins;
    next unless -e $old_file || $only_drop_ins;

    my $old = parse_unit(-e $old_file ? $old_file : undef, @old_drop_ins);
    my $masked = -l $new_file && do { my $to = real($new_file); defined $to && $to eq '/dev/null' };
    my $gone = $only_drop_ins ? !@new_drop_ins : !-e $new_file;
    if ($gone || $masked) {
        $stop{$name} = 1 if flag_of($old, 'Unit', 'X-StopOnRemoval', 1);
        next;
    }
    my $new = parse_unit(-e $new_file ? $new_file : undef, @new_drop_ins);

    if ($name =~ /\.target$/) {
        # Started again, so that what it newly wants comes up.
        unless ($name =~ /^(?:suspend|hibernate|hybrid-sleep)\.target$/
            || flag_of($new, 'Unit', 'RefuseManualStart', 0)
            || flag_of($new, 'Unit', 'X-OnlyManualStart', 0)) {
            $start{$name} = 1;
            $hidden{$name} = 1;
        }
        $stop{$name} = 1 if flag_of($new, 'Unit', 'X-StopOnReconfiguration', 0);
        next;
    }
    my $verdict = compare_units($old, $new);
    if ($verdict eq 'restart') { plan_modified($name, $new, $new_file, 0); }
    elsif ($verdict eq 'reload') { $reload{$name} = 1 unless $restart{$name}; }
}

# ---- file systems -----------------------------------------------------------

sub mount_unit {
    my ($where) = @_;
    open(my $in, '-|', "$systemd/bin/systemd-escape", '--path', '--suffix=mount', $where) or return undef;
    chomp(my $name = <$in> // '');
    close $in;
    return $name eq '' ? undef : $name;
}
my ($old_mounts, $old_swaps) = read_fstab("/etc/fstab");
my ($new_mounts, $new_swaps) = read_fstab("$out/etc/fstab");
for my $where (sort keys %$old_mounts) {
    my ($o, $n) = ($old_mounts->{$where}, $new_mounts->{$where});
    my $name = mount_unit($where) // next;
    if (!$n) {
        $name =~ s/\.mount$/.automount/ if $o->{options} =~ /x-systemd\.automount/;
        $stop{$name} = 1;
    }
    elsif ($o->{type} ne $n->{type} || $o->{device} ne $n->{device}) {
        if ($where eq '/' || $where eq '/nix') {
            if ($o->{options} ne $n->{options}) { $reload{$name} = 1; } else { $skip{$name} = 1; }
        }
        else { $restart{$name} = 1; }
    }
    elsif ($o->{options} ne $n->{options}) { $reload{$name} = 1; }
}
my @swap_gone = grep { !$new_swaps->{$_} } sort keys %$old_swaps;

# ---- words ------------------------------------------------------------------

sub shown {
    my ($set) = @_;
    return sort grep { !$hidden{$_} || ($ENV{STC_DISPLAY_ALL_UNITS} // '') eq '1' } keys %$set;
}
sub announce {
    my ($text, @names) = @_;
    say_line("$text: " . join(', ', @names)) if @names;
}
sub systemd_changes {
    my $running = readlink('/proc/1/exe') // '';
    my $wanted = real("$out/systemd/lib/systemd/systemd") // '';
    my $conf = real("/etc/systemd/system.conf") // '';
    my $new_conf = real("$out/etc/systemd/system.conf") // '';
    return 1 if $wanted ne '' && resolved($running) ne resolved($wanted);
    return $conf ne $new_conf;
}
# /lib and /usr/lib are one folder on Debian
sub resolved { my ($path) = @_; $path =~ s{^/lib/}{/usr/lib/}; return $path; }

sub requested_by_activation {
    my ($prefix) = @_;
    for my $name (read_list(list_file("${prefix}activation-restart-list"))) {
        my $new_file = "$new_units/$name";
        $new_file = "$new_units/" . template_of($name) if defined template_of($name) && !-e $new_file;
        if (!is_active($before->{$name})) { $start{$name} = 1; next; }
        plan_modified($name, parse_unit($new_file, drop_ins($new_units, $name)), $new_file, 1) unless $stop{$name};
    }
    for my $name (read_list(list_file("${prefix}activation-reload-list"))) {
        next if $restart{$name} || $stop{$name};
        if (is_active($before->{$name})) { $reload{$name} = 1; } else { $start{$name} = 1; }
    }
    unlink list_file("${prefix}activation-restart-list"), list_file("${prefix}activation-reload-list");
}

# ---- dry run ----------------------------------------------------------------

if ($dry) {
    announce("would stop the following units", shown(\%stop));
    announce("would NOT stop the following changed units", sort keys %skip);
    say_line("would stop swap device: $_") for @swap_gone;
    say_line("would activate the configuration...");
    system("$out/dry-activate", $out);
    requested_by_activation('dry-');
    say_line("would restart systemd") if systemd_changes();
    announce("would reload the following units", shown(\%reload));
    announce("would restart the following units", shown(\%restart));
    announce("would start the following units", shown(\%start));
    exit 0;
}

# ---- doing it ---------------------------------------------------------------

# Jobs that were there before us, such as the one that runs us, are not ours to wait for.
sub jobs { open(my $in, '-|', $systemctl, 'list-jobs', '--no-legend', '--no-pager', '--plain') or return (); return map { (split)[1] // () } <$in>; }
my %old_jobs = map { $_ => 1 } jobs();

record(list_file('start-list'), keys %start);
record(list_file('restart-list'), keys %restart);
record(list_file('reload-list'), keys %reload);

my $res = 0;

# Runs one systemctl verb on many units and says which of them did not make it.
sub act {
    my ($verb, $word, @names) = @_;
    return unless @names;
    return if system($systemctl, $verb, '--', @names) == 0;
    $res = 4;
    my $now = loaded_units();
    for my $name (@names) {
        my $unit = $now->{$name};
        if (!$unit) { say_line("Failed to $word $name: not found"); }
        elsif ($unit->{ActiveState} eq 'failed') { say_line("Failed to $word $name: failed"); }
    }
}

if (%stop) {
    announce("stopping the following units", shown(\%stop));
    act('stop', 'stop', sort keys %stop);
}
announce("NOT restarting the following changed units", sort keys %skip);
for my $device (@swap_gone) {
    say_line("stopping swap device: $device");
    system('swapoff', $device);
}

my $reexec = systemd_changes();
say_line("activating the configuration...");
if (system("$out/activate", $out) != 0) {
    say_line("Failed to run activate script");
    $res = 2;
}
requested_by_activation('');
record(list_file('start-list'), keys %start);
record(list_file('restart-list'), keys %restart);
record(list_file('reload-list'), keys %reload);

if ($reexec) {
    say_line("restarting systemd...");
    system($systemctl, 'daemon-reexec');
}
system($systemctl, 'reset-failed');
system($systemctl, 'daemon-reload') == 0 or $res = 3;

say_line("restarting sysinit-reactivation.target");
system($systemctl, 'restart', 'sysinit-reactivation.target') == 0 or $res = 4;

if (%reload) {
    my $now = loaded_units();
    for my $name (keys %reload) {
        next if is_active($now->{$name});
        delete $reload{$name};
        $start{$name} = 1 if -e "$new_units/$name";
    }
    announce("reloading the following units", shown(\%reload));
    act('reload', 'reload', sort keys %reload);
    unlink list_file('reload-list');
}
if (%restart) {
    announce("restarting the following units", shown(\%restart));
    act('restart', 'restart', sort keys %restart);
    unlink list_file('restart-list');
}
announce("starting the following units", shown(\%start));
act('start', 'start', sort keys %start);
unlink list_file('start-list'), list_file('restart-list'), list_file('reload-list');

# What our changes set off may still be under way.
for (1 .. 360) {
    last unless grep { !$old_jobs{$_} } jobs();
    select(undef, undef, undef, 0.25);
}

my $after = loaded_units();
my @failed = grep { $after->{$_}{ActiveState} eq 'failed' } keys %$after;
my @again = grep { $after->{$_}{SubState} eq 'auto-restart' } keys %$after;
my $ended = details('ExecMainStatus', @again);
push @failed, grep { ($ended->{$_}{ExecMainStatus} // '0') ne '0' } @again;
@failed = sort @failed;

my @fresh = grep {
    is_active($after->{$_}) && !is_active($before->{$_}) && !/\.(?:device|scope|slice|target)$/
        && !$start{$_} && !$restart{$_} && !$reload{$_}
} sort keys %$after;
my $origin = details('Transient', @fresh);
@fresh = grep { ($origin->{$_}{Transient} // '') ne 'yes' } @fresh;
announce("the following new units were started", @fresh);
if (@failed) {
    announce("warning: the following units failed", @failed);
    system($systemctl, 'status', '--no-pager', '--full', '--', @failed);
    $res = 4;
}
# As in NixOS, what failed later hides a failed activation: its line in the
# output is what tells.
exit $res;
