// SPDX-License-Identifier: Apache-2.0

// An OpenTelemetry Collector with the OTLP receiver and an exporter that writes what arrives as
// OTLP-JSON lines: the official code, as small as it can be put together.
package main

import (
	"context"
	"log"
	"os"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry"
	"go.uber.org/zap"
)

// linesConfig says where the lines go.
type linesConfig struct {
	Path string `mapstructure:"path"`
}

type lines struct {
	mutex sync.Mutex
	file  *os.File
}

func (l *lines) write(line []byte, err error) error {
	if err != nil {
		return err
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	_, err = l.file.Write(append(line, '\n'))
	return err
}

func (l *lines) traces(_ context.Context, t ptrace.Traces) error {
	return l.write((&ptrace.JSONMarshaler{}).MarshalTraces(t))
}

func (l *lines) metrics(_ context.Context, m pmetric.Metrics) error {
	return l.write((&pmetric.JSONMarshaler{}).MarshalMetrics(m))
}

func open(c component.Config) (*lines, error) {
	file, err := os.OpenFile(c.(*linesConfig).Path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	return &lines{file: file}, err
}

func newTraces(ctx context.Context, s exporter.Settings, c component.Config) (exporter.Traces, error) {
	l, err := open(c)
	if err != nil {
		return nil, err
	}
	return exporterhelper.NewTraces(ctx, s, c, l.traces)
}

func newMetrics(ctx context.Context, s exporter.Settings, c component.Config) (exporter.Metrics, error) {
	l, err := open(c)
	if err != nil {
		return nil, err
	}
	return exporterhelper.NewMetrics(ctx, s, c, l.metrics)
}

// newLogger is all of its own telemetry: the ordinary one takes as long to build as the rest.
func newLogger(context.Context, telemetry.LoggerSettings, component.Config) (*zap.Logger, component.ShutdownFunc, error) {
	logger, err := zap.NewDevelopment()
	return logger, nil, err
}

func factories() (otelcol.Factories, error) {
	otlp := otlpreceiver.NewFactory()
	write := exporter.NewFactory(component.MustNewType("lines"),
		func() component.Config { return &linesConfig{} },
		exporter.WithTraces(newTraces, component.StabilityLevelStable),
		exporter.WithMetrics(newMetrics, component.StabilityLevelStable))
	return otelcol.Factories{
		Receivers: map[component.Type]receiver.Factory{otlp.Type(): otlp},
		Exporters: map[component.Type]exporter.Factory{write.Type(): write},
		Telemetry: telemetry.NewFactory(func() component.Config { return &struct{}{} },
			telemetry.WithCreateLogger(newLogger)),
	}, nil
}

func main() {
	settings := otelcol.CollectorSettings{
		BuildInfo: component.BuildInfo{Command: "collector", Version: "test"},
		Factories: factories,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
			DefaultScheme:     "file",
			ProviderFactories: []confmap.ProviderFactory{fileprovider.NewFactory()},
		}},
	}
	if err := otelcol.NewCommand(settings).Execute(); err != nil {
		log.Fatal(err)
	}
}
